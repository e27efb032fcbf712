"""The operators' pages of opt-out lists and the blacklist."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display

from apps.core import phone
from apps.core.pages import LargeTableAdmin, RefusesUsed, cause_link, clipped
from apps.core.transfer.pages import csv_download
from apps.crm.models import Contact
from apps.crm.sections import Section, contact_section
from apps.messaging import lists
from apps.messaging.addresses import canonical, spelled
from apps.messaging.list_form import EntriesForm, told
from apps.messaging.models import BlacklistEntry, Channel, OptOut, OptOutList

_USER = "user"


class EntryAdmin(LargeTableAdmin):
    """Addresses on a list: searched, added by many at once, removed after asking."""

    form = EntriesForm
    list_display_links = None
    list_filter_submit = True
    search_fields = ["address"]
    search_help_text = "Search by the whole number or email address"
    actions = ["remove_selected"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add")

    def has_remove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        users = get_user_model().objects.filter(pk=OuterRef("cause_id")).values("username")
        rows = super().get_queryset(request).annotate(username=Subquery(users))
        return rows.prefetch_related("channel")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        term = search_term.strip()
        if term:
            queryset = queryset.filter(address__in=spelled([phone.normalise(term) or term]))
        return queryset, False

    # --- columns ---

    @display(description="Email ID/Phone Number")
    def address_column(self, entry: Any) -> SafeString:
        return clipped(entry.address)

    @display(description="Added")
    def added(self, entry: Any) -> Any:
        return entry.created_at

    @display(description="By", empty_value="–")
    def by(self, entry: Any) -> SafeString | str:
        return who(entry)

    @display(description="Action")
    def remove_link(self, entry: Any) -> SafeString:
        url = reverse(f"admin:{self._name('remove')}", args=[entry.pk])
        return format_html('<a class="sb-link" href="{}">Remove</a>', url)

    def get_list_display(self, request: HttpRequest) -> list[str]:
        shown = list(self.list_display)
        return [*shown, "remove_link"] if self.has_remove_permission(request) else shown

    # --- adding ---

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"show_save_and_continue": False, "show_save_and_add_another": False}
        return super().add_view(request, form_url, {**context, **(extra_context or {})})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """All channels are for those who ask for them."""
        first = Channel.objects.values_list("pk", flat=True).first()
        return {"channel": first, **super().get_changeform_initial_data(request)}

    def add(self, form: EntriesForm, **cause: Any) -> set[lists.Entry]:
        """Put the entries of a form on the list; returns those that were not on it."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        added = self.add(form, cause=_USER, cause_id=request.user.pk)
        self.message_user(
            request,
            told(form.cleaned_data["entries"], added),
            messages.SUCCESS if added else messages.WARNING,
        )

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Each row says itself who added it."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return HttpResponseRedirect(self._list())

    # --- removing ---

    def change_view(self, request: HttpRequest, object_id: str, *_: Any, **__: Any) -> HttpResponse:
        """There is nothing to change: the list says all."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(self._list())

    def get_urls(self) -> list[Any]:
        remove = self.admin_site.admin_view(self.remove_view)
        return [path("<int:pk>/remove/", remove, name=self._name("remove")), *super().get_urls()]

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _list(self) -> str:
        return reverse(f"admin:{self._name('changelist')}")

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """*Remove* beside an entry: asks first."""
        if not self.has_remove_permission(request):
            raise PermissionDenied
        entry = self.find(request, str(pk))
        if request.method != "POST":
            question = f"Remove {entry.address} from {self.name_list(entry)}?"
            return self.ask(request, question, "Remove", {}, self._list())
        entry.delete()
        self.message_user(request, f"{entry.address} was removed.", messages.SUCCESS)
        return HttpResponseRedirect(self._list())

    def name_list(self, entry: Any) -> str:
        return f"the blacklist of {entry.channel}"

    @action(description="Remove selected addresses", permissions=["remove"])
    def remove_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        question = "Remove the selected addresses?"
        chosen = self.ask_about(request, queryset, "remove_selected", question, "Remove")
        if isinstance(chosen, HttpResponse):
            return chosen
        count = self.model._default_manager.filter(pk__in=chosen).delete()[0]
        self.message_user(request, f"Removed: {count} of {len(chosen)}.", messages.SUCCESS)
        return None


def who(entry: Any) -> SafeString | str:
    """Who or what put the entry on its list."""
    if entry.cause == _USER:
        return entry.username or "Somebody who is gone"
    return cause_link(entry.cause, entry.cause_id)


def _cells(rows: QuerySet[Any]) -> Iterator[list[object]]:
    """Address, channel, when and by whom, for a file."""
    users = get_user_model().objects.filter(pk=OuterRef("cause_id")).values("username")
    for row in rows.select_related("channel").annotate(username=Subquery(users)).iterator(2000):
        by = row.username if row.cause == _USER else f"{row.cause} {row.cause_id or ''}".strip()
        yield [row.address, row.channel, row.created_at.isoformat(timespec="seconds"), by]


_HEADER = ["Email ID/Phone Number", "Channel", "Added", "By"]


@admin.register(BlacklistEntry)
class BlacklistAdmin(EntryAdmin):
    list_display = ["address_column", "channel", "dropped_column", "added", "by"]
    list_filter = [("channel", RelatedDropdownFilter)]
    fields = ["channel", "addresses"]
    actions_list = ["download"]

    def add(self, form: EntriesForm, **cause: Any) -> set[lists.Entry]:
        return lists.add_to_blacklist(form.cleaned_data["entries"], **cause)

    @display(description="Messages dropped")
    def dropped_column(self, entry: BlacklistEntry) -> str:
        return f"{entry.dropped:,}"

    @action(description="Download CSV", url_path="download", permissions=["view"])
    def download(self, request: HttpRequest) -> HttpResponseBase:
        return csv_download("blacklist", _HEADER, _cells(BlacklistEntry.objects.order_by("pk")))


@admin.register(OptOut)
class OptOutAdmin(EntryAdmin):
    list_display = ["address_column", "channel", "list", "added", "by"]
    list_filter = [("list", RelatedDropdownFilter), ("channel", RelatedDropdownFilter)]
    fields = ["list", "channel", "addresses"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OptOut]:
        return super().get_queryset(request).prefetch_related("list")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"list": lists.system_list().pk, **super().get_changeform_initial_data(request)}

    def add(self, form: EntriesForm, **cause: Any) -> set[lists.Entry]:
        chosen = form.cleaned_data["list"]
        added = lists.add_to_optout([chosen], form.cleaned_data["entries"], **cause)
        return {row.entry for row in added}

    def name_list(self, entry: OptOut) -> str:
        return f'the list "{entry.list}" of {entry.channel}'


@admin.register(OptOutList)
class OptOutListAdmin(RefusesUsed, ModelAdmin):
    list_display = ["name", "stops", "entries"]
    search_fields = ["name"]
    fields = ["name", "stops"]
    readonly_fields = ["stops"]
    actions_detail = ["show_entries", "download"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OptOutList]:
        listed = OptOut.objects.filter(list=OuterRef("pk")).order_by().values("list")
        count = Subquery(listed.annotate(n=Count("pk")).values("n"), output_field=IntegerField())
        return super().get_queryset(request).annotate(entries_count=Coalesce(count, 0))

    @display(description="What it stops")
    def stops(self, one: OptOutList) -> str:
        if one.is_system:
            return "All automated messages on the channel. It can't be deleted."
        return "Broadcasts and sequences that name it, on the channel."

    @display(description="Addresses")
    def entries(self, one: OptOutList) -> SafeString:
        count = getattr(one, "entries_count", 0)
        return format_html('<a class="sb-link" href="{}">{}</a>', entries_url(one), f"{count:,}")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Create New Opt List", **(extra_context or {})}
        return super().add_view(request, form_url, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        one = self.get_object(request, object_id)
        context = {"show_delete": one is None or not one.is_system, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def refusal(self, row: Model) -> str:
        if getattr(row, "is_system", False):
            return f'The list "{row}" can\'t be deleted: it was made by the system.'
        return super().refusal(row)

    def deletion_summary(self, objs: Any, request: HttpRequest) -> Any:
        lines = [f'The list "{one}" with all of its addresses' for one in objs]
        return lines, {"opt-out lists": len(lines)}, set(), []

    @action(description="Addresses", url_path="addresses", permissions=["view"])
    def show_entries(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(entries_url(self._find(request, object_id)))

    @action(description="Download CSV", url_path="download", permissions=["view"])
    def download(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        one = self._find(request, object_id)
        rows = OptOut.objects.filter(list=one).order_by("pk")
        return csv_download(f"opt-out-{one.pk}", _HEADER, _cells(rows))

    def _find(self, request: HttpRequest, object_id: str) -> OptOutList:
        one: OptOutList | None = self.get_object(request, object_id)
        if one is None or not request.user.has_perm("messaging.view_optout"):
            raise PermissionDenied
        return one


def entries_url(one: OptOutList) -> str:
    page = reverse("admin:messaging_optout_changelist")
    return f"{page}?list__id__exact={one.pk}"


# --- on a contact's page -------------------------------------------------------------------------


@contact_section
def lists_of_contact(request: HttpRequest, contact: Contact, limit: int) -> Section | None:
    """For each channel that reaches the contact: the lists that its address is on."""
    user = request.user
    if not user.has_perms(["messaging.view_optout", "messaging.view_blacklistentry"]):
        return None
    reached = [
        (channel, address)
        for channel in Channel.objects.all()
        for address in lists.addresses_of(contact, channel)
    ]
    if not reached:
        return None
    addresses = spelled(address for _, address in reached)
    named: dict[tuple[int, str], list[str]] = {}
    for row in OptOut.objects.filter(address__in=addresses).select_related("list"):
        named.setdefault((row.channel_id, canonical(row.address)), []).append(row.list.name)
    blocked = BlacklistEntry.objects.filter(address__in=addresses)
    black = {(row.channel_id, canonical(row.address)): row.pk for row in blocked}
    rows = []
    for channel, address in reached:
        key = (channel.pk, address)
        opted_out = _optouts_link(address, sorted(named.get(key, [])))
        cells = [channel, address, opted_out, "Blocked" if key in black else "–"]
        rows.append([*cells, _doors(request, *key, black.get(key))])
    columns = ["Channel", "Reached at", "Opted out of", "Blacklist", "Action"]
    return Section("Opt-out lists and blacklist", columns, rows)


def _optouts_link(address: str, names: list[str]) -> SafeString | str:
    """The lists that an address is on, which lead to where it can be taken off."""
    page = reverse("admin:messaging_optout_changelist")
    query = urlencode({"q": address})
    there = format_html('<a class="sb-link" href="{}?{}">{}</a>', page, query, ", ".join(names))
    return there if names else "–"


def _doors(request: HttpRequest, channel_id: int, address: str, black: int | None) -> SafeString:
    """Links to what the user may do about an address."""
    query = urlencode({"channel": channel_id, "addresses": address})
    doors = []
    if request.user.has_perm("messaging.add_optout"):
        doors.append((f"{reverse('admin:messaging_optout_add')}?{query}", "Opt out"))
    if black is not None and request.user.has_perm("messaging.delete_blacklistentry"):
        doors.append((reverse("admin:messaging_blacklistentry_remove", args=[black]), "Unblock"))
    elif black is None and request.user.has_perm("messaging.add_blacklistentry"):
        doors.append((f"{reverse('admin:messaging_blacklistentry_add')}?{query}", "Blacklist"))
    return format_html_join(" · ", '<a class="sb-link" href="{}">{}</a>', doors)
