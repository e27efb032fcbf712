"""The operators' pages of counters: what is counted, how far each has come, and resetting."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from apps.core.pages import Asks, LargeTableAdmin, RefusesUsed, clipped, link
from apps.crm.models import Contact
from apps.crm.searching import by_address
from apps.crm.sections import Section, contact_section
from apps.crm.services import timezones
from apps.datastore import counters
from apps.datastore.models import Counter, CounterValue


class CounterForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "timezone" in self.fields:
            account = f"The account's: {timezone.get_default_timezone_name()}"
            places = [(zone, zone.replace("_", " ")) for zone in sorted(timezones())]
            self.fields["timezone"].widget = UnfoldAdminSelectWidget(
                choices=[("", account), *places]
            )

    def clean_name(self) -> str:
        return " ".join(str(self.cleaned_data["name"]).split())

    def clean_timezone(self) -> str:
        zone = str(self.cleaned_data["timezone"])
        if zone and zone not in timezones():
            raise forms.ValidationError("This is not a timezone: choose one of the list.")
        return zone


@admin.register(Counter)
class CounterAdmin(RefusesUsed, Asks, ModelAdmin):
    form = CounterForm
    list_display = ["name", "value", "limits", "resets", "liquid"]
    list_filter = ["scope"]
    search_fields = ["name", "key"]
    fields = ["name", "scope", "value", "starts", "maximum", "reset_at_maximum", "reset_unit"]
    fields += ["reset_every", "timezone", "next_reset", "key"]
    conditional_fields = dict.fromkeys(
        ["reset_every", "timezone"],
        " || ".join(f"reset_unit == '{unit}'" for unit in Counter.Unit.values if unit),
    )
    actions_detail = ["reset_now"]

    class Media:
        css = {"all": ["switchboard/timeline.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Counter]:
        account = CounterValue.objects.filter(contact=None)
        return (
            super()
            .get_queryset(request)
            .prefetch_related(Prefetch("values", account, to_attr="of_account"))
        )

    # --- columns ---

    @display(description="Value now")
    def value(self, counter: Counter) -> SafeString | str:
        if counter.is_per_contact:
            page = reverse("admin:datastore_countervalue_changelist")
            query = f"counter__id__exact={counter.pk}"
            return format_html('<a class="sb-link" href="{}?{}">Of each contact</a>', page, query)
        return f"{counters.present(counter, next(iter(_of_account(counter)), None)):,}"

    @display(description="Counts")
    def limits(self, counter: Counter) -> SafeString:
        starts = f"From {counter.starts:,}"
        if counter.maximum is None:
            return clipped(starts)
        again = ", then again" if counter.reset_at_maximum else ""
        return clipped(f"{starts} to {counter.maximum:,}{again}")

    @display(description="Resets automatically")
    def resets(self, counter: Counter) -> str:
        if not counter.reset_unit:
            return "Never"
        if counter.reset_every == 1:
            return str(counter.get_reset_unit_display())
        return f"Every {counter.reset_every} {counter.reset_unit}s"

    @display(description="In texts")
    def liquid(self, counter: Counter) -> SafeString:
        return clipped(f"{{{{ counters.{counter.key} }}}}")

    @display(description="Next automatic reset")
    def next_reset(self, counter: Counter) -> str:
        period = counters.present_period(counter)
        return _spell(period.end, counter) if period else "Never"

    # --- the form ---

    def get_fields(self, request: HttpRequest, obj: Counter | None = None) -> list[str]:
        return [name for name in self.fields if obj or name not in ("value", "next_reset")]

    def get_readonly_fields(self, request: HttpRequest, obj: Counter | None = None) -> list[str]:
        """Texts name the key, and values are kept by scope: neither changes later."""
        return ["value", "next_reset", *(["key", "scope"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: Counter, form: Any, change: bool) -> None:
        """Write what was changed in the form and nothing else: a reset may come meanwhile."""
        if not change:
            obj.save()
        elif form.changed_data:
            obj.save(update_fields={*form.changed_data, "reset_at_maximum"})

    def deletion_summary(self, objs: Any, request: HttpRequest) -> Any:
        lines = [f'The counter "{counter}" with all of its values' for counter in objs]
        return lines, {"counters": len(lines)}, set(), []

    # --- resetting ---

    @action(description="Reset now", url_path="reset", permissions=["change"])
    def reset_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first, then sets the counter back, for all contacts if it has values for each."""
        counter = self.get_object(request, object_id)
        if counter is None or not self.has_change_permission(request, counter):
            raise PermissionDenied
        page = reverse("admin:datastore_counter_change", args=[counter.pk])
        if request.method != "POST":
            who = " for every contact" if counter.is_per_contact else ""
            question = f'Set the counter "{counter}" back to {counter.starts:,}{who}?'
            return self.ask(request, question, "Reset now", {}, page)
        counters.reset_all(counter)
        self.log_change(request, counter, "Reset.")
        self.message_user(request, f'The counter "{counter}" was reset.', messages.SUCCESS)
        return HttpResponseRedirect(page)


def _of_account(counter: Counter) -> list[CounterValue]:
    """The value that the page's query brought along; none for a row that is only being made."""
    found: list[CounterValue] = getattr(counter, "of_account", [])
    return found


def _spell(moment: datetime, counter: Counter) -> str:
    local = moment.astimezone(counters.zone_of(counter))
    return f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({counters.zone_of(counter)})"


@admin.register(CounterValue)
class CounterValueAdmin(LargeTableAdmin):
    """The values of counters that have one for each contact."""

    list_display = ["contact_link", "counter", "value_now", "changed_at"]
    list_display_links = None
    list_filter = [("counter", RelatedDropdownFilter)]
    list_filter_submit = True
    search_fields = ["contact__phone", "contact__email"]
    search_help_text = "Search by the contact's whole number or email"
    actions = ["reset_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CounterValue]:
        of_contacts = super().get_queryset(request).filter(contact__isnull=False)
        return of_contacts.prefetch_related("counter", "contact")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        term = search_term.strip()
        if term:
            found = by_address(Contact.objects.all(), term).values_list("pk", flat=True)
            queryset = queryset.filter(contact__in=list(found[:1000]))
        return queryset, False

    @display(description="Contact")
    def contact_link(self, kept: CounterValue) -> SafeString:
        return link("admin:crm_contact_change", kept.contact_id, kept.contact)

    @display(description="Value now")
    def value_now(self, kept: CounterValue) -> str:
        return f"{counters.present(kept.counter, kept):,}"

    def change_view(self, request: HttpRequest, object_id: str, *_: Any, **__: Any) -> HttpResponse:
        """A value belongs to its contact's page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        kept = self.find(request, object_id)
        return HttpResponseRedirect(reverse("admin:crm_contact_change", args=[kept.contact_id]))

    @action(description="Reset selected values", permissions=["act"])
    def reset_selected(
        self, request: HttpRequest, queryset: QuerySet[CounterValue]
    ) -> HttpResponse | None:
        question = "Set the selected counters back to their start for these contacts?"
        chosen = self.ask_about(request, queryset, "reset_selected", question, "Reset values")
        if isinstance(chosen, HttpResponse):
            return chosen
        count = counters.forget(chosen)
        self.message_user(request, f"Reset: {count} of {len(chosen)}.", messages.SUCCESS)
        return None


@contact_section
def counters_of_contact(request: HttpRequest, contact: Contact, limit: int) -> Section | None:
    """All of them: they say where somebody stands."""
    if not request.user.has_perm("datastore.view_counter"):
        return None
    kept = CounterValue.objects.filter(contact=contact).select_related("counter")
    rows = [
        [
            link("admin:datastore_counter_change", row.counter_id, row.counter),
            f"{counters.present(row.counter, row):,}",
            row.changed_at,
        ]
        for row in kept.order_by("counter__name")
    ]
    return Section("Counters", ["Counter", "Value now", "Changed"], rows) if rows else None
