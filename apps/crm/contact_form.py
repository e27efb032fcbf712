"""The form of a contact: its own fields, its tags and categories, and a field for each attribute,
read by the attribute's type."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.db.models import Field
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from unfold.widgets import (
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from apps.core import phone
from apps.core.liquid import as_text
from apps.core.pages import cause_link
from apps.crm import attributes, services
from apps.crm.models import (
    Attribute,
    AttributeValue,
    Category,
    Contact,
    ContactCategory,
    ContactTag,
    Tag,
)
from apps.crm.services import Identity, find, is_country, timezones

PREFIX = "attribute_"
_HINTS = {
    Attribute.Type.DATE: "Like 2026-03-31.",
    Attribute.Type.DATETIME: "Like 2026-03-31T18:00.",
    Attribute.Type.FILE: "The address of the file.",
}


def _several(model: Any, link: Any, name: str) -> forms.ModelMultipleChoiceField:
    """Rows of a long list, searched for while typing."""
    column: Field[Any, Any] = link._meta.get_field(name)
    widget = AutocompleteSelectMultiple(column, admin.site)
    return forms.ModelMultipleChoiceField(model.objects.all(), required=False, widget=widget)


class AttributeField(forms.CharField):
    """One attribute's value as text; empty is none."""

    def __init__(self, attribute: Attribute) -> None:
        self.attribute = attribute
        super().__init__(
            required=False, label=attribute.name, widget=_widget(attribute), initial=""
        )

    def to_python(self, value: Any) -> str:
        # Browsers send a line end of their own, which would make every long text look changed.
        return str(super().to_python(value) or "").replace("\r\n", "\n").strip()


def _widget(attribute: Attribute) -> forms.Widget:
    if attribute.type == Attribute.Type.CHOICE:
        options = [(option, option) for option in attribute.options]
        return UnfoldAdminSelectWidget(choices=[("", "–"), *options])
    if attribute.type == Attribute.Type.TEXT:
        return UnfoldAdminExpandableTextareaWidget(attrs={"rows": 2})
    return UnfoldAdminTextInputWidget()


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    tags = _several(Tag, ContactTag, "tag")
    categories = _several(Category, ContactCategory, "category")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        contact = self.instance
        if contact.pk and "tags" in self.fields:
            self._marked("tags", ContactTag, "tag_id")
            self._marked("categories", ContactCategory, "category_id")
            for value in contact.attribute_values.select_related("attribute"):
                self._valued(value)

    def _marked(self, name: str, link: Any, column: str) -> None:
        mine = link.objects.filter(contact=self.instance)
        self.initial[name] = list(mine.values_list(column, flat=True))

    def _valued(self, row: AttributeValue) -> None:
        field = self.fields.get(f"{PREFIX}{row.attribute.pk}")
        if field is None:  # it was made since
            return
        text = value_as_text(row)
        self.initial[f"{PREFIX}{row.attribute.pk}"] = text
        widget = field.widget
        if isinstance(widget, forms.Select) and text not in row.attribute.options:
            widget.choices = [*widget.choices, (text, f"{text} (not a choice any more)")]
        day = date_format(timezone.localtime(row.updated_at), "DATE_FORMAT")
        by = cause_link(row.cause, row.cause_id)
        said = format_html("Set on {} by {}.", day, by) if by else f"Set on {day}."
        field.help_text = format_html("{} {}", field.help_text, said)

    # --- checks ---

    def clean_phone(self) -> str | None:
        typed = (self.cleaned_data.get("phone") or "").strip()
        number = phone.normalise(typed) if typed else None
        if typed and number is None:
            raise forms.ValidationError(
                "This is not a valid mobile number: it needs the country code."
            )
        known = find(Identity(number, "")) if number else None
        if known is not None and known.pk != self.instance.pk:
            raise forms.ValidationError(
                f"There is a contact with this mobile number already: {known}."
            )
        return number

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    def clean_timezone(self) -> str:
        zone = str(self.cleaned_data["timezone"]).strip()
        if zone and zone not in timezones():
            raise forms.ValidationError("This is not a timezone: write it like Europe/Berlin.")
        return zone

    def clean_country(self) -> str:
        country = str(self.cleaned_data["country"]).strip().upper()
        if country and not is_country(country):
            raise forms.ValidationError("This is not a country: write two letters, like DE.")
        return country

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self._check_attributes(cleaned)
        if self.errors:
            return cleaned
        if not cleaned.get("phone") and not cleaned.get("email"):
            raise forms.ValidationError("Fill in a mobile number or an email address.")
        if not cleaned.get("phone") and services.is_taken(cleaned["email"], self.instance):
            raise forms.ValidationError("There is a contact with this email address already.")
        return cleaned

    def _check_attributes(self, cleaned: dict[str, Any]) -> None:
        """Those that were changed: what is kept already may stay as it is."""
        for name in self.changed_data:
            field = self.fields[name]
            if isinstance(field, AttributeField) and cleaned.get(name):
                try:
                    attributes.read(field.attribute, cleaned[name])
                except attributes.BadValue as error:
                    self.add_error(name, str(error))

    # --- what stands beside the contact's own columns ---

    def save_beside(self, contact: Contact, **cause: Any) -> None:
        """Write what was changed of tags, categories and attributes."""
        self._save_marks("tags", services.add_tags, services.remove_tags, cause)
        self._save_marks("categories", services.add_categories, services.remove_categories, cause)
        for name in self.changed_data:
            field = self.fields[name]
            if isinstance(field, AttributeField) and self.cleaned_data[name]:
                attributes.set_attribute(contact, field.attribute, self.cleaned_data[name], **cause)
            elif isinstance(field, AttributeField):
                attributes.clear_attribute(contact, field.attribute, **cause)

    def _save_marks(self, name: str, add: Any, remove: Any, cause: dict[str, Any]) -> None:
        if name not in self.changed_data:
            return
        before = set(self.initial.get(name, []))
        chosen = list(self.cleaned_data[name])
        add(self.instance, [mark for mark in chosen if mark.pk not in before], **cause)
        gone = before - {mark.pk for mark in chosen}
        model: Any = self.fields[name].queryset.model  # type: ignore[attr-defined]
        remove(self.instance, list(model.objects.filter(pk__in=gone)), **cause)


def value_as_text(row: AttributeValue) -> str:
    """As it is typed: read again, it is the same value."""
    if row.datetime is not None:
        moment = timezone.localtime(row.datetime)
        return moment.strftime("%Y-%m-%dT%H:%M:%S").removesuffix(":00")
    if row.number is not None:
        text = format(row.number, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return as_text(row.value)


def with_attributes(known: list[Attribute]) -> type[ContactForm]:
    """The form with a field for each of these attributes."""
    fields = {}
    for attribute in known:
        field = AttributeField(attribute)
        field.help_text = _HINTS.get(attribute.type, "")  # type: ignore[call-overload]
        fields[f"{PREFIX}{attribute.pk}"] = field
    return type("ContactForm", (ContactForm,), fields)
