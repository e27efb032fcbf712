import json

import pytest
from django import forms
from django.core.exceptions import ValidationError

from apps.core.fields import Column, JsonText, RowsField, TemplateField
from apps.engine.models import Attempt

ROWS = RowsField(
    columns=[
        Column("to", "Number", attributes=True),
        Column("how", "How", choices=[("a", "Any"), ("b", "Both")], required=False),
    ],
    blank=False,
)


def cleaned(rows, field=ROWS):
    return field.formfield().clean(rows if isinstance(rows, str) else json.dumps(rows))


def test_rows_are_kept_as_trimmed_text_and_blank_ones_go():
    rows = [{"to": " 1 ", "how": "a"}, {"to": "", "how": " "}, {"to": 2, "extra": "x"}, {}]
    assert cleaned(rows) == [{"to": "1", "how": "a"}, {"to": "2", "how": ""}]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "This field is required."),
        ([{"to": " "}], "This field is required."),
        ([{"to": "1"}, {"how": "a"}], "Row 2: fill in number."),
        ([{"to": "1", "how": "c"}], "Row 1: choose how from the list."),
        ([{"to": "{{ event."}], "Row 1: An attribute can't be read"),
        ([{"to": "{{ x | shout }}"}], "unknown filter 'shout'"),
        ([1], "These rows can't be read."),
        ({"to": "1"}, "These rows can't be read."),
        ("{", "Enter a valid JSON."),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_sentence(rows, sentence):
    with pytest.raises(ValidationError, match=sentence):
        cleaned(rows)


def test_characters_that_no_database_takes_are_dropped():
    assert cleaned('[{"to": "a\\u0000\\ud800b"}]') == [{"to": "ab", "how": ""}]


def test_rows_that_may_be_empty():
    assert cleaned([], RowsField(columns=ROWS.columns)) == []


def test_columns_are_the_forms_business():
    """Changing them needs no migration."""
    assert RowsField(columns=ROWS.columns, add_label="More").deconstruct()[1:] == (
        "django.db.models.JSONField",
        [],
        {"default": list, "blank": True},
    )


def test_a_templates_syntax_is_checked_when_it_is_saved():
    field = TemplateField().formfield()
    assert isinstance(field, forms.CharField)
    assert field.clean("Hi {{ event.name }}") == "Hi {{ event.name }}"
    for text in ("{{ event.", "{{ x | shout }}", "{% include 'x' %}"):
        with pytest.raises(ValidationError, match="An attribute can't be read"):
            field.clean(text)


@pytest.mark.django_db
def test_json_text_takes_what_databases_refuse():
    value = {"nul": "\x00", "half": "\ud800", "deep": [1, None, {"ü": 0.1}]}
    row = Attempt.objects.create(run_id=1, kind="x", label="x", result="done", went_in=value)
    assert Attempt.objects.get(pk=row.pk).went_in == value
    assert JsonText().get_prep_value(value).isascii()
    assert JsonText().get_prep_value(None) is None
