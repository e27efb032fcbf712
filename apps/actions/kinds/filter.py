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
from apps.core.fields import Column, RowsField
from apps.crm.models import Category, Tag
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
    operator = find_operator(row.get("operator", ""))
    right = row.get("right", "")
    error = liquid.path_error(row.get("left", ""))
    if error:
        return error
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
    row_sets = ["memberships"]

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
        texts += [str(row) for row in self._draft_memberships()]
        return (" or " if self.match == "any" else " and ").join(texts) or "No conditions: passes"

    def problems(self) -> list[str]:
        errors = [(number, _row_error(row)) for number, row in enumerate(self.conditions, 1)]
        lacking = [row for row in self._draft_memberships() if row.lacks_target()]
        return [
            *(f"Condition {number}: {error}" for number, error in errors if error),
            *(f"{row}: choose a {concerns(row.what)}." for row in lacking),
        ]

    def _draft_memberships(self) -> "list[FilterMembership]":
        return list(self.memberships.all()) if self.pk else []

    def perform(self, run: Performing) -> Outcome:
        memberships = run.rows(self, "memberships")
        checked = [_check(row, run) for row in self.conditions]
        checked += [_check_membership(row, run) for row in memberships]
        run.went_in("conditions", checked)
        groups = [row.get("group", "") for row in (*self.conditions, *_configs(memberships))]
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


def _check(row: dict[str, str], run: Performing) -> dict[str, Any]:
    """One condition with the values compared and its verdict, for the timeline."""
    left, right = run.value(row["left"]), row.get("right", "")
    if liquid.has_attributes(right):
        right = run.value(right)
    verdict = _judge(row, left, right)
    seen = {"condition": _spell(row), "left": left, "right": right, "passed": verdict.passed}
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
    seen, shown = judge(what, run.contact, target), spell(what, target)
    verdict = seen.verdict
    told = {"condition": shown, "left": seen.left, "right": seen.right, "passed": verdict.passed}
    return {**told, "warning": verdict.warning} if verdict.warning else told
