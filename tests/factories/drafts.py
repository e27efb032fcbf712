"""Random drafts over all registered kinds: each column is drawn from its own type, choices and
validators, as far as its form takes it; each reference leads to a row that a factory made."""

from django.core.exceptions import ValidationError
from django.db import models
from factory.django import DjangoModelFactory
from hypothesis import strategies as st

from apps.connectors import registry
from apps.connectors.frozen import own_fields, row_fields, row_model
from apps.connectors.models import Connector
from apps.connectors.on_error import OnError
from apps.connectors.reading import NotImportable
from apps.connectors.rows import fill
from apps.core.fields import RowsField, TemplateField
from apps.crm.services import MAPPABLE
from tests import factories

TEXTS = st.one_of(
    st.sampled_from(
        ["{{ event.order.id }}", "Hi {{ contact.name | default: 'you' }}!", "5", "ä €"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
)
FACTORIES = {
    made._meta.model: made
    for made in vars(factories).values()
    if isinstance(made, type) and issubclass(made, DjangoModelFactory) and made._meta.model
}


def is_taken(field, value):
    """Whether the column's form gives `value` back as it is."""
    try:
        field.run_validators(value)
        return field.formfield().clean(value) == value
    except ValidationError:
        return False


def _plain(field):
    if isinstance(field, RowsField):
        return st.lists(_rows(field.columns), max_size=3)
    if field.flatchoices:
        return st.sampled_from([value for value, _ in field.flatchoices])
    if isinstance(field, models.BooleanField):
        return st.booleans()
    if isinstance(field, models.IntegerField):
        return st.integers(0, 2_000)
    if isinstance(field, models.CharField):
        return TEXTS.map(lambda text: text[: field.max_length].strip())
    if isinstance(field, TemplateField | models.TextField):
        return TEXTS
    raise AssertionError(f"{field}: say how to draw a column of this type")


def _rows(columns):
    return st.fixed_dictionaries({c.name: _cell(c) for c in columns})


def _cell(column):
    if column.choices:
        return st.sampled_from([value for value, _ in column.choices])
    if column.placeholder:
        return st.just(column.placeholder)
    return TEXTS.map(str.strip) if column.attributes else st.sampled_from(["", "ab"])


def _column(field):
    drawn = _plain(field).filter(lambda value: is_taken(field, value))
    blank = field.get_default()
    return st.one_of(st.just(blank), drawn) if is_taken(field, blank) else drawn


def _values(draw, fields):
    return {f.name: draw(_column(f)) for f in fields if not f.is_relation and f.editable}


def _refs(draw, fields, pools):
    """References to rows of `pools`, by model; the connector itself is in one of them."""
    refs = {}
    for field in fields:
        if field.is_relation:
            pool = pools.setdefault(field.related_model, [])
            if len(pool) < 2:
                pool.append(FACTORIES[field.related_model]())
            refs[field.name] = draw(st.sampled_from([*pool, None] if field.null else pool))
    return refs


def _add_action(draw, step, position, pools):
    kind = draw(st.sampled_from(list(registry.kinds().values())))
    fields = own_fields(kind)
    common = {
        "label": draw(st.one_of(st.just(""), TEXTS.map(str.strip))),
        "enabled": draw(st.booleans()),
        "on_error": draw(st.sampled_from(OnError.values)),
    }
    action = kind(step=step, position=position)
    try:
        fill(action, common | _values(draw, fields), _refs(draw, fields, pools), "")
    except NotImportable:
        return  # its own form would have refused this combination
    action.save()
    for accessor in kind.row_sets:
        for _ in range(draw(st.integers(0, 3))):
            _add_row(draw, action, row_model(kind, accessor), pools)
    action.refresh_summary()


def _add_row(draw, action, model, pools):
    fields = row_fields(model)
    row = model(action=action)
    try:
        fill(row, _values(draw, fields), _refs(draw, fields, pools), "")
        row.validate_constraints()
    except (NotImportable, ValidationError):
        return
    row.save()


def random_draft(draw):
    """A connector with a draft that `draw` (of Hypothesis' `data`) decides."""
    connector = factories.ConnectorFactory(
        response_body=draw(st.sampled_from(["", "Thanks {{ event.id }}"])),
        dedupe_by=draw(st.sampled_from(["none", "body"])),
        description=draw(TEXTS.map(str.strip)),
        inbound_per_minute=draw(st.sampled_from([None, 30])),
    )
    pools = {Connector: [connector]}
    for field in draw(st.lists(st.sampled_from(list(MAPPABLE)), unique=True)):
        connector.mappings.create(field=field, value=draw(TEXTS).strip() or "x")
    for position in range(draw(st.integers(0, 3))):
        step = factories.StepFactory(connector=connector, position=position)
        for place in range(draw(st.integers(0, 4))):
            _add_action(draw, step, place, pools)
    return connector
