"""CRM changes as event sources: the form, and the list of all of them."""

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from apps.builder.sources import SourceAdmin
from apps.core.pages import link
from apps.crm.news import What
from apps.engine.crm_changes import MARKS
from apps.engine.models import CrmTrigger

CHANGED = What.CONTACT_CHANGED
# Which changes each field of the form concerns.
CONCERNS = {
    "tag": [what for what, mark in MARKS.items() if mark == "tag"],
    "category": [what for what, mark in MARKS.items() if mark == "category"],
    "field": [CHANGED],
    "attribute": [CHANGED],
}


class CrmTriggerForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any]:
        """Keep only what concerns the chosen change."""
        cleaned = super().clean() or {}
        for name, changes in CONCERNS.items():
            if cleaned.get("what") not in changes:
                cleaned[name] = "" if name == "field" else None
        if cleaned.get("field") != CrmTrigger.ATTRIBUTE:
            cleaned["attribute"] = None
        elif not cleaned.get("attribute") and "attribute" not in self.errors:
            self.add_error("attribute", "Choose the attribute.")
        return cleaned


@admin.register(CrmTrigger)
class CrmTriggerAdmin(SourceAdmin):
    form = CrmTriggerForm
    list_display = ["change_link", "connector", "state"]
    list_filter = ["what", ("connector", RelatedDropdownFilter)]
    list_select_related = ["connector", "tag", "category", "attribute"]
    search_fields = ["connector__name", "tag__name", "category__name", "attribute__name"]
    fields = ["connector", "what", "tag", "category", "field", "attribute", "enabled"]
    autocomplete_fields = ["tag", "category", "attribute"]
    conditional_fields = {
        **{
            name: " || ".join(f"what == '{what.value}'" for what in changes)
            for name, changes in CONCERNS.items()
        },
        "attribute": f"what == '{CHANGED.value}' && field == '{CrmTrigger.ATTRIBUTE}'",
    }

    @display(description="CRM change")
    def change_link(self, trigger: CrmTrigger) -> SafeString:
        return link("admin:engine_crmtrigger_change", trigger.pk, trigger)

    @display(
        description="State",
        label={"In force": "success", "Not published yet": "warning", "Switched off": ""},
    )
    def state(self, trigger: CrmTrigger) -> str:
        if not (trigger.enabled and trigger.connector.enabled):
            return "Switched off"
        return "In force" if trigger.connector.published_id else "Not published yet"
