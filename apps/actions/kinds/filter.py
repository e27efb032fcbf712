"""Flow: let the rest of the step run only when conditions hold."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from apps.actions.conditions import (
    OPERATORS,
    TYPES,
    Verdict,
    combine,
    compare,
    find_operator,
    right_error,
)
from apps.actions.conditions import counters as on_counters
from apps.actions.conditions.memberships import (
    MEMBERSHIPS,
    Target,
    about,
    concerns,
    judge,
    needs_target,
    spell,
)
from apps.connectors.frozen import FrozenRow
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Outcome, Skip
from apps.connectors.registry import register
from apps.core import liquid
from apps.core.fields import Column, RowsField, TemplateField
from apps.crm.models import Category, Tag
from apps.datastore.models import Counter
from apps.messaging.models import Channel

_MATCHES = [("all", "Match All Conditions"), ("any", "Match Any Condition")]
_OPERATOR_CHOICES = [
    (label, [(f"{sort}:{name}", operator.printed) for name, operator in OPERATORS[sort].items()])
    for sort, label in TYPES
]
COLUMNS = [
    Column("left", "Attribute", path=True, placeholder="event.order.total"),
    Column("operator", "Operator", choices=_OPERATOR_CHOICES),
    Column("right", "Value", attributes=True, required=False),
    Column(
        "delimiter",
        "Delimiter",
        required=False,
        placeholder=",",
        shows_when=("operator", ["text:in_list", "text:not_in_list"]),
    ),
    Column("group", "Group", required=False),
]


def check_conditions(rows: list[dict[str, str]]) -> None:
    """Refuse what could never be compared, naming the row."""
    for number, row in enumerate(rows, 1):
        error = _row_error(row)
        if error:
            raise ValidationError(f"Row {number}: {error}")


def _row_error(row: dict[str, str]) -> str:
    return liquid.path_error(row.get("left", "")) or _comparison_error(row)


def _comparison_error(row: dict[str, str]) -> str:
    operator = find_operator(row.get("operator", ""))
    right = row.get("right", "")
    if operator is None:
        return "choose an operator from the list."
    if operator.read_right is None:
        return ""
    if not right:
        return "fill in the value to compare with."
    if liquid.has_attributes(right):
        return liquid.syntax_error(right)
    error = right_error(operator, right, row.get("delimiter", ""))
    return f"{error}." if error else ""


@register
class Filter(Action):
    """Let the rest of this step run only when the conditions hold; else the next step is tried.

    Conditions with the same group name belong together: the group's own match decides it, and
    the filter's match decides over the groups.
    """

    slug, title, category, icon = "filter", "Filter", "Flow", "filter_alt"
    writes = False
    has_on_error = False
    guards_step = True
    editor = ["match", "conditions", "group_match"]
    row_sets = ["memberships", "counters"]

    match = models.CharField(max_length=3, choices=_MATCHES, default="all")
    conditions = RowsField(
        columns=COLUMNS,
        add_label="Add condition",
        validators=[check_conditions],
        help_text="The attribute is a path such as event.order.total. In list compares with the "
        "items of one text, separated by the delimiter (a comma if empty). Between takes two "
        "values with a comma. A group name is only needed to mix all and any.",
    )
    group_match = models.CharField(
        "inside a group",
        max_length=3,
        choices=_MATCHES,
        default="any",
        help_text="Concerns conditions that have a group name.",
    )

    def summary(self) -> str:
        texts = [_spell(row) for row in self.conditions]
        texts += [str(row) for row in (*self._draft_memberships(), *self._draft_counters())]
        return (" or " if self.match == "any" else " and ").join(texts) or "No conditions: passes"

    def problems(self) -> list[str]:
        errors = [(number, _row_error(row)) for number, row in enumerate(self.conditions, 1)]
        lacking = [row for row in self._draft_memberships() if row.lacks_target()]
        compared = [(row, _comparison_error(row.as_condition())) for row in self._draft_counters()]
        return [
            *(f"Condition {number}: {error}" for number, error in errors if error),
            *(f"{row}: choose a {concerns(row.what)}." for row in lacking),
            *(f"{row}: {error}" for row, error in compared if error),
        ]

    def _draft_memberships(self) -> "list[FilterMembership]":
        return list(self.memberships.all()) if self.pk else []

    def _draft_counters(self) -> "list[FilterCounter]":
        return list(self.counters.all()) if self.pk else []

    def perform(self, run: Performing) -> Outcome:
        memberships, counters = run.rows(self, "memberships"), run.rows(self, "counters")
        checked = [_check(row, run) for row in self.conditions]
        checked += [_check_membership(row, run) for row in memberships]
        checked += [_check_counter(row, run) for row in counters]
        run.went_in("conditions", checked)
        rows = (*self.conditions, *_configs(memberships), *_configs(counters))
        groups = [row.get("group", "") for row in rows]
        warnings = "; ".join(
            dict.fromkeys(seen["warning"] for seen in checked if "warning" in seen)
        )
        if self._holds(groups, [seen["passed"] for seen in checked]):
            return Done("Passed" + (f" ({warnings})" if warnings else ""))
        failed = next((seen["condition"] for seen in checked if not seen["passed"]), "")
        return Skip(f"Not passed: {warnings or failed}", rest_of_step=True)

    def _holds(self, names: list[str], passed: list[bool]) -> bool:
        """The verdict over all conditions, each with the name of its group."""
        loose: list[bool] = []
        groups: dict[str, list[bool]] = {}
        for name, verdict in zip(names, passed, strict=True):
            group = name.strip()
            (groups.setdefault(group, []) if group else loose).append(verdict)
        grouped = [combine(self.group_match, group) for group in groups.values()]
        return combine(self.match, loose + grouped)


class FilterMembership(models.Model):
    """A condition on what the contact belongs to."""

    shows_when = {name: ("what", about(name)) for name in ("tag", "category", "channel")}

    action = models.ForeignKey(Filter, on_delete=models.CASCADE, related_name="memberships")
    what = models.CharField("condition", max_length=30, choices=list(MEMBERSHIPS.items()))
    tag = models.ForeignKey(Tag, null=True, blank=True, on_delete=models.RESTRICT, related_name="+")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.RESTRICT, related_name="+"
    )
    channel = models.ForeignKey(
        Channel,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="For the opt-out list and the blacklist. Empty: of any channel.",
    )
    group = models.CharField(max_length=60, blank=True)

    class Meta:
        verbose_name = "condition on the contact"
        verbose_name_plural = "conditions on the contact"

    def __str__(self) -> str:
        return spell(self.what, self._target())

    def _target(self) -> Target | None:
        name = concerns(self.what)
        return getattr(self, name) if name else None

    def clean(self) -> None:
        """Keeps no reference that the condition has no use for: it would guard a row in vain."""
        concerned = concerns(self.what)
        for name in {"tag", "category", "channel"} - {concerned}:
            setattr(self, name, None)
        if self.lacks_target():
            raise ValidationError({concerned: f"Choose a {concerned}."})

    def lacks_target(self) -> bool:
        return needs_target(self.what) and self._target() is None


class FilterCounter(models.Model):
    """A condition on where a counter stands; asking never changes it."""

    action = models.ForeignKey(Filter, on_delete=models.CASCADE, related_name="counters")
    counter = models.ForeignKey(
        Counter,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="One that counts for each contact is asked for the contact of the run.",
    )
    operator = models.CharField(max_length=30, choices=on_counters.OPERATORS)
    right = TemplateField("value", blank=True)
    group = models.CharField(max_length=60, blank=True)

    class Meta:
        verbose_name = "condition on a counter"
        verbose_name_plural = "conditions on counters"

    def __str__(self) -> str:
        return _spell(self.as_condition())

    def as_condition(self) -> dict[str, str]:
        """As a condition on a value has it."""
        name = str(self.counter) if self.counter_id else ""
        return {"left": name, "operator": self.operator, "right": self.right}

    def clean(self) -> None:
        error = _comparison_error(self.as_condition())
        if error and self.operator:
            raise ValidationError({"right": error[0].upper() + error[1:]})


def _check(row: dict[str, str], run: Performing) -> dict[str, Any]:
    """One condition with the values compared and its verdict, for the timeline."""
    left, right = run.value(row["left"]), _right(row, run)
    return _told(_spell(row), left, right, _judge(row, left, right))


def _right(row: dict[str, str], run: Performing) -> Any:
    right = row.get("right", "")
    return run.value(right) if liquid.has_attributes(right) else right


def _told(condition: str, left: Any, right: Any, verdict: Verdict) -> dict[str, Any]:
    seen = {"condition": condition, "left": left, "right": right, "passed": verdict.passed}
    return {**seen, "warning": verdict.warning} if verdict.warning else seen


def _judge(row: dict[str, str], left: Any, right: Any) -> Verdict:
    operator = find_operator(row["operator"])
    if operator is None:
        return Verdict(False, f'This installation has no operator "{row["operator"]}"')
    return compare(operator, left, right, row.get("delimiter", ""))


def _spell(row: dict[str, str]) -> str:
    name = row.get("operator", "")
    operator = find_operator(name)
    printed = operator.printed if operator else name
    return f"{row.get('left', '')} {printed} {row.get('right', '')}".strip()


def _configs(rows: list[FrozenRow]) -> list[dict[str, Any]]:
    return [row.config for row in rows]


def _check_membership(row: FrozenRow, run: Performing) -> dict[str, Any]:
    """One condition on the contact with what was looked at and its verdict, for the timeline."""
    what = row.config["what"]
    target = run.ref(row, concerns(what)) if concerns(what) else None
    seen = judge(what, run.contact, target)
    return _told(spell(what, target), seen.left, seen.right, seen.verdict)


def _check_counter(row: FrozenRow, run: Performing) -> dict[str, Any]:
    """One condition on a counter with where it stands and its verdict, for the timeline."""
    counter: Counter = run.ref(row, "counter")
    condition, right = {**row.config, "left": counter.name}, _right(row.config, run)
    value = on_counters.value_for(counter, run.contact)
    verdict = (
        Verdict(False, "No contact mapped") if value is None else _judge(condition, value, right)
    )
    return _told(_spell(condition), value, right, verdict)
