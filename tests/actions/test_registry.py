"""Every kind keeps the promises that a kind makes; a new one fails here until it does."""

import copy
import inspect
import json
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.forms import modelform_factory
from django.utils.functional import cached_property

from apps.connectors import registry
from apps.connectors.frozen import freeze_action, own_fields, row_fields, row_model, thaw_action
from apps.connectors.models import Action
from apps.connectors.outcomes import Outcome
from apps.engine.context import RunContext
from apps.engine.models import Event, Run
from apps.engine.plan import Plan

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SPECIFIED = {
    cells[0]: cells[1:]
    for line in (HERE / "slugs.txt").read_text().splitlines()
    if not line.startswith("#")
    for cells in [[cell.strip() for cell in line.split("|")]]
}
KINDS = list(registry.kinds().values())

pytestmark = pytest.mark.django_db


@pytest.fixture(params=KINDS, ids=lambda kind: kind.slug)
def kind(request):
    return request.param


def empty(kind):
    """Thawed from an instance that nobody has filled in."""
    return thaw_action(json.loads(json.dumps(freeze_action(kind()))))


def editor(kind):
    return kind.editor or [field.name for field in own_fields(kind)]


def test_forty_two_kinds_are_specified():
    assert len(SPECIFIED) == 42


def test_it_is_called_as_specified(kind):
    label, category, help_text = SPECIFIED[kind.slug]
    assert (kind.title, kind.category) == (label, category)
    assert kind.__module__ == f"apps.actions.kinds.{kind.slug}"
    words = " ".join(inspect.cleandoc(kind.__doc__).split("\n\n")[0].split())
    assert words == (help_text or words)
    assert kind.icon.replace("_", "").isalpha()


def test_it_has_tests_and_documentation(kind):
    assert (HERE / "kinds" / f"test_{kind.slug}.py").exists()
    page = (ROOT / "docs" / "actions" / f"{kind.slug}.md").read_text()
    assert page.splitlines()[0] == f"# {kind.title}"
    table = (ROOT / "docs" / "actions" / "README.md").read_text()
    assert f"[{kind.title}]({kind.slug}.md)" in table
    assert bool(kind.given) is bool(kind.gives)
    assert all(f"`{kind.gives}.<key>.{name}`" in page for name in kind.given)


def test_its_editor_names_fields_of_its_own(kind):
    own = {field.name for field in own_fields(kind)}
    assert set(editor(kind)) <= own
    for name, (other, values) in kind.shows_when.items():
        assert {name, other} <= set(editor(kind))
        choices = dict(kind._meta.get_field(other).flatchoices)
        assert set(values) <= set(choices)


def test_its_references_are_guarded(kind):
    """What an action uses can't be deleted unseen: RESTRICT, which lets a connector that names
    itself be deleted, while PROTECT would not."""
    rows = [row_model(kind, accessor) for accessor in kind.row_sets]
    fields = own_fields(kind) + [field for row in rows for field in row_fields(row)]
    for field in fields:
        assert not field.is_relation or field.remote_field.on_delete is models.RESTRICT, field
    assert not kind._meta.local_many_to_many


def test_its_references_may_be_left_open(kind):
    """An import brings the action without what it does not find; publishing asks for it."""
    for field in own_fields(kind):
        assert not field.is_relation or field.null, f"{field}: add null=True, the form requires it"


def test_its_form_opens_and_takes_an_empty_answer(kind):
    form = modelform_factory(kind, fields=[*editor(kind), "label", "enabled", "on_error"])
    html = form().as_p()
    assert all(f'name="{name}"' in html for name in editor(kind))
    form({}).is_valid()


def test_it_survives_being_empty(kind):
    action = kind()
    assert isinstance(action.summary(), str)
    assert all(text.endswith(".") for text in action.problems())
    assert isinstance(action.touches_shared(), bool)


def test_performing_it_on_an_empty_run_gives_an_outcome_and_nothing_else(kind, clock):
    action = empty(kind)
    plan = Plan(0, {}, {}, False, (), (False,))
    run = Run(pk=1, event_id=1, started_at=clock.now)
    context = RunContext(run, Event(pk=1, received_at=clock.now, body="{}"), plan, None, {})
    context.begin(action)
    before, looks = _counts(), copy.deepcopy(_columns(action))
    assert isinstance(action.perform(context), Outcome)
    assert (_counts(), _columns(action)) == (before, looks)


def _columns(action):
    """But what it has worked out of them once for all runs."""
    made = {name for name, what in vars(type(action)).items() if isinstance(what, cached_property)}
    return {name: v for name, v in vars(action).items() if name not in {"_state", *made}}


def _counts():
    return {model: model._default_manager.count() for model in apps.get_models()}


def test_freezing_what_was_thawed_changes_nothing(kind):
    document = freeze_action(kind())
    assert document == json.loads(json.dumps(document))
    assert freeze_action(thaw_action(document)) == document


def test_a_thawed_one_is_read_only_and_leads_nowhere(kind):
    action = empty(kind)
    with pytest.raises(TypeError, match="read-only"):
        action.save()
    for field in [Action._meta.get_field("step"), *own_fields(kind)]:
        if field.is_relation:
            with pytest.raises(TypeError, match="no relations"):
                getattr(action, field.name).pk  # noqa: B018
    for accessor in kind.row_sets:
        with pytest.raises(ValueError):
            getattr(action, accessor).all()
