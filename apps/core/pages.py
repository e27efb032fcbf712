"""What the operators' pages share: read-only lists over large tables, own detail pages, asking
before acting, and deletions that are refused in words."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db.models import Model, QuerySet, RestrictedError
from django.db.models.deletion import Collector
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.paginator import InfinitePaginator

from apps.core.lists import ListAdmin

# Which page tells about a cause (core.cause): name of the cause → (what to call it, URL name).
CAUSE_PAGES: dict[str, tuple[str, str]] = {}
LARGEST_ID = 2**63 - 1


def link(url_name: str, pk: Any, text: object) -> SafeString:
    """A link to a page of the admin."""
    return format_html('<a class="sb-link" href="{}">{}</a>', reverse(url_name, args=[pk]), text)


def badge(state: str, name: str) -> SafeString:
    """A state in its colour, for tables of our own."""
    return format_html('<span class="sb-badge sb-is-{}">{}</span>', state, name)


def clipped(text: str) -> SafeString:
    """Text of any length in one line of a list; the whole of it when pointed at."""
    line = " ".join(text.replace("\0", " ").split())
    return format_html('<span class="sb-clip" title="{}">{}</span>', line[:500], line[:200])


def cause_link(cause: str, cause_id: int | None) -> SafeString | str:
    """A link to what caused a row; empty when nothing is known of it."""
    if not cause or cause_id is None:
        return ""
    name, url_name = CAUSE_PAGES.get(cause, (cause.capitalize(), ""))
    try:
        return link(url_name, cause_id, f"{name} {cause_id}")
    except NoReverseMatch:
        return f"{name} {cause_id}"


def related(row: Model, name: str) -> Any:
    """The row that a key without a constraint leads to; None when it is gone."""
    try:
        return getattr(row, name)
    except ObjectDoesNotExist:
        return None


def as_id(text: str) -> int | None:
    """What was typed into a search box as an id, with or without #; None when it can't be one."""
    digits = text.strip().removeprefix("#")
    number = int(digits) if digits.isdecimal() and len(digits) < 20 else 0
    return number if 0 < number <= LARGEST_ID else None


class Asks(ListAdmin):
    """Pages that ask before they act."""

    def ask(
        self,
        request: HttpRequest,
        question: str,
        button: str,
        hidden: dict[str, Any],
        back: str,
        template: str = "core/ask.html",
        **details: Any,
    ) -> HttpResponse:
        """A page that asks before acting: its form posts `confirmed` to the same address. Another
        template, made from this one, can show `details`."""
        context = {
            **self.admin_site.each_context(request),
            "title": button,
            "opts": self.opts,
            "question": question,
            "button": button,
            "hidden": [(name, v) for name, values in hidden.items() for v in values],
            "back": back,
            **details,
        }
        return TemplateResponse(request, template, context)


class LargeTableAdmin(Asks):
    """Read-only pages over a table of any size: newest first by id, no counting, no sorting by
    columns without an index. Acting on rows needs the *change* permission."""

    ordering = ["-id"]
    sortable_by: tuple[str, ...] = ()
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True
    # A template makes the detail page our own; `page_context` fills it.
    page_template = ""

    class Media:
        css = {"all": ["switchboard/timeline.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view") or self._may(request, "change")

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change")

    def _may(self, request: HttpRequest, verb: str) -> bool:
        opts = self.opts
        return bool(request.user.has_perm(f"{opts.app_label}.{verb}_{opts.model_name}"))

    def find(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a detail page; 404 when there is none."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")
        return row

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.page_template:
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.find(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": str(row),
            "opts": self.opts,
            "object": row,
            "may_act": self.has_act_permission(request),
            **self.page_context(request, row),
        }
        return TemplateResponse(request, self.page_template, context)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {}

    def ask_about(
        self, request: HttpRequest, rows: "QuerySet[Any]", action: str, question: str, button: str
    ) -> HttpResponse | list[int]:
        """For an action of the list: the chosen ids once confirmed, else the page that asks."""
        chosen = list(self.ticked(request, rows).values_list("pk", flat=True))
        if request.POST.get("confirmed"):
            return chosen
        hidden = {"action": [action], "_selected_action": chosen}
        return self.ask(request, question, button, hidden, request.get_full_path())

    def ticked(self, request: HttpRequest, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        """What is chosen on the page of the list, and nothing beyond it."""
        ticked = [as_id(value) for value in request.POST.getlist("_selected_action")]
        return rows.filter(pk__in=[pk for pk in ticked if pk])


def refusal_of(row: Model) -> str:
    """Why a row that others may refer to can't be deleted, in one sentence; empty when it can."""
    try:
        Collector(using="default", origin=row).collect([row])
    except RestrictedError as error:
        places = sorted({_place(user) for user in error.restricted_objects})
        more = f" and {len(places) - 5} more" if len(places) > 5 else ""
        name, used = row._meta.verbose_name, ", ".join(places[:5])
        return f'The {name} "{row}" can\'t be deleted: it is used by {used}{more}.'
    return ""


class RefusesUsed(ListAdmin):
    """Deletion of a row that others refer to is refused with a sentence that says who they are."""

    def refusal(self, row: Model) -> str:
        """Why the row can't be deleted; empty when it can."""
        return refusal_of(row)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is not None and self.has_delete_permission(request, row):
            refusal = self.refusal(row)
            if refusal:
                self.message_user(request, refusal, messages.ERROR)
                opts = self.opts
                page = f"admin:{opts.app_label}_{opts.model_name}_change"
                return HttpResponseRedirect(reverse(page, args=[row.pk]))
        return super().delete_view(request, object_id, extra_context)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        refusals = [refusal for row in objs if (refusal := self.refusal(row))]
        if refusals:
            return [], {}, set(), refusals
        return self.deletion_summary(objs, request)

    def deletion_summary(self, objs: Any, request: HttpRequest) -> Any:
        return super().get_deleted_objects(objs, request)


def _place(user: Model) -> str:
    """Where a row that refers to another one stands; rows of an action speak for the action."""
    owner = getattr(user, "action", user)
    return str(getattr(owner, "place", owner))
