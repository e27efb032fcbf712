"""Column types of our own."""

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.choices import flatten_choices

from apps.core import liquid

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class JsonText(models.TextField):  # type: ignore[type-arg]
    r"""Any JSON value in a text column, written in ASCII with \u escapes.

    For values that are stored and shown but never queried inside: payloads and timelines may
    hold NUL or lone surrogates, which PostgreSQL's jsonb refuses and its text takes escaped;
    and text is stored without being parsed again.
    """

    # What django-stubs take for the type of the values.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else _encode(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))


class TemplateFormField(forms.CharField):
    """Form field for text with attributes; checks the Liquid syntax."""

    def validate(self, value: Any) -> None:
        super().validate(value)
        error = liquid.syntax_error(value or "")
        if error:
            raise ValidationError(error)


class TemplateField(models.TextField):  # type: ignore[type-arg]
    """Text that may hold attributes such as {{ event.order.id }} (Liquid)."""

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": TemplateFormField, **kwargs})


Choices: TypeAlias = list[tuple[str, str]]


@dataclass(frozen=True)
class Column:
    """One column of a RowsField: a text box, one for text with attributes or for a single path,
    or a choice. Choices may stand in named groups."""

    name: str
    label: str
    choices: Choices | list[tuple[str, Choices]] = field(default_factory=list)
    attributes: bool = False
    path: bool = False
    required: bool = True
    placeholder: str = ""
    # The column that decides, and its values for which this one concerns the row; as for actions.
    shows_when: tuple[str, list[str]] | None = None

    @property
    def groups(self) -> list[tuple[str, Any]]:
        """The choices by group; those without one under an empty name."""
        if self.choices and isinstance(self.choices[0][1], str):
            return [("", self.choices)]
        return list(self.choices)

    def offers(self, value: str) -> bool:
        return not self.choices or value in dict(flatten_choices(self.choices))


class RowsWidget(forms.Textarea):
    """A hidden text area with the rows as JSON; rows.js draws the table over it."""

    template_name = "core/rows_widget.html"

    def __init__(self, columns: list[Column], add_label: str) -> None:
        super().__init__()
        self.columns = columns
        self.add_label = add_label

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        columns = [
            {
                "name": c.name,
                "label": c.label,
                "groups": c.groups,
                "attributes": c.attributes,
                "path": c.path,
                "placeholder": c.placeholder,
                "shows_when": c.shows_when,
            }
            for c in self.columns
        ]
        context["widget"].update(columns=columns, add_label=self.add_label)
        return context

    class Media:
        js = [forms.Script("switchboard/rows.js", type="module")]


class RowsFormField(forms.JSONField):
    def __init__(self, *, columns: list[Column], add_label: str, **kwargs: Any) -> None:
        kwargs.pop("encoder", None)
        kwargs.pop("decoder", None)
        kwargs["widget"] = RowsWidget(columns, add_label)
        super().__init__(**kwargs)
        self.columns = columns

    def clean(self, value: Any) -> list[dict[str, str]]:
        rows = super().clean(value) or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValidationError("These rows can't be read.")
        rows = [row for row in rows if any(str(v).strip() for v in row.values())]
        cleaned = [self._clean_row(number, row) for number, row in enumerate(rows, 1)]
        if self.required and not cleaned:
            raise ValidationError(self.error_messages["required"], code="required")
        return cleaned

    def _clean_row(self, number: int, row: dict[str, Any]) -> dict[str, str]:
        cleaned = {}
        for column in self.columns:
            value = liquid.clean(str(row.get(column.name) or "")).strip()
            if column.required and not value:
                raise ValidationError(f"Row {number}: fill in {column.label.lower()}.")
            if value and not column.offers(value):
                raise ValidationError(f"Row {number}: choose {column.label.lower()} from the list.")
            error = liquid.syntax_error(value) if column.attributes else ""
            if error:
                raise ValidationError(f"Row {number}: {error}")
            cleaned[column.name] = value
        return cleaned


class RowsField(models.JSONField):  # type: ignore[type-arg]
    """A JSON list of rows with named text columns, edited as a small table. Holds no ids."""

    def __init__(
        self,
        *args: Any,
        columns: list[Column] | None = None,
        add_label: str = "Add row",
        **kw: Any,
    ) -> None:
        self.columns = columns or []
        self.add_label = add_label
        super().__init__(*args, **{"default": list, "blank": True, **kw})

    def deconstruct(self) -> Any:
        # The columns are the form's business: changing them needs no migration.
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def formfield(self, **kwargs: Any) -> Any:
        defaults: dict[str, Any] = {"columns": self.columns, "add_label": self.add_label}
        kwargs.pop("widget", None)
        return models.Field.formfield(self, form_class=RowsFormField, **defaults, **kwargs)
