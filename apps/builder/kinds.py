"""The form of each kind of action, generated from what the kind declares."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, Model
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminExpandableTextareaWidget

from apps.builder.given import found_rows, http_attributes, http_samples
from apps.builder.links import crumbs, flow_url, kind_url
from apps.builder.palette import help_text
from apps.builder.permissions import FlowPermissions, PicksCredentials
from apps.builder.samples import (
    contact_attributes,
    counter_attributes,
    earlier_values,
    event_attributes,
    sample_event,
)
from apps.connectors import draft, registry
from apps.connectors.frozen import own_fields, row_fields, row_model
from apps.connectors.models import Action, Step
from apps.connectors.on_error import OnError
from apps.core.fields import TemplateField
from apps.core.lists import ListAdmin

RETRY = ["retry_times", "retry_wait", "retry_then"]
ON_ERROR = ["on_error", *RETRY]
TEXTS = {TemplateField: {"widget": UnfoldAdminExpandableTextareaWidget}}


class RowInline(FlowPermissions, TabularInline):  # type: ignore[misc]
    """A table of rows that belong to the action."""

    fk_name = "action"
    hide_title = True
    formfield_overrides = TEXTS

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 1

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # An empty row must begin empty, or it would be taken for a filled-in one.
        blank = db_field.get_choices(blank_choice=[("", "Select value")])
        return super().formfield_for_choice_field(db_field, request, choices=blank, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = _without_side_doors(super().formfield_for_dbfield(db_field, request, **kwargs))
        # As `shows_when` of an action, for the fields of one row; row_fields.js reads it.
        shows_when = getattr(self.model, "shows_when", {})
        if db_field.name in shows_when:
            other, values = shows_when[db_field.name]
            widget = getattr(field.widget, "widget", field.widget)
            widget.attrs["data-shows-when"] = " ".join([other, *values])
        return field

    class Media:
        js = [Script("switchboard/row_fields.js", type="module")]


class KindAdmin(PicksCredentials, FlowPermissions, ListAdmin):  # type: ignore[misc]
    """One kind's form. It is reached from the flow page and leads back there."""

    kind: type[Action]
    # What its rows are edited in.
    row_inline: type[RowInline] = RowInline
    # When fields that are no columns of the kind show, as conditional_fields has it.
    conditions: ClassVar[dict[str, str]] = {}
    change_form_template = "builder/kind_form.html"
    formfield_overrides = TEXTS
    warn_unsaved_form = True

    # --- the form ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        own = self.kind.editor or [f.name for f in own_fields(self.kind) if f.editable]
        common = ["label", *(ON_ERROR if self.kind.has_on_error else []), "enabled"]
        parts: list[Any] = [(None, {"fields": own})] if own else []
        return [*parts, ("In the flow", {"fields": common})]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return _without_side_doors(super().formfield_for_dbfield(db_field, request, **kwargs))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        may = self.has_view_permission if object_id else self.has_add_permission
        if not may(request):
            raise PermissionDenied
        action = self.get_object(request, object_id) if object_id else None
        if object_id and action is None:
            raise Http404("There is no such action.")
        step = action.step if action else self._step(request)
        connector = step.connector
        event = sample_event(connector.pk)
        context = {
            "kind": self.kind,
            "help_text": help_text(self.kind),
            "step": step,
            "connector": connector,
            "crumbs": crumbs(connector, step.name, str(action) if action else self.kind.title),
            "title": str(action) if action else f"Add {self.kind.title}",
            "flow_url": flow_url(connector.pk, action.pk if action else None),
            "delete_url": kind_url(self.kind, "delete", action.pk) if action else "",
            "sample_event": event,
            "event_attributes": event_attributes(event),
            "contact_attributes": contact_attributes(),
            "counter_attributes": counter_attributes(),
            "given_attributes": http_attributes(http_samples(step, action)),
            **self.form_context(request, step, action),
            "earlier_values": [*earlier_values(step, action), *found_rows(step, action)],
            "show_save_and_add_another": False,
        }
        return super().changeform_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def form_context(
        self, request: HttpRequest, step: Step, action: Action | None
    ) -> dict[str, Any]:
        """What the template of a kind's own form needs besides."""
        return {}

    def _step(self, request: HttpRequest) -> Step:
        """The step that a new action goes to; 404 when there is none."""
        number = request.GET.get("step", "")
        found = Step.objects.select_related("connector")
        step = found.filter(pk=int(number)).first() if _is_id(number) else None
        if step is None:
            raise Http404("There is no such step.")
        return step

    # --- saving ---

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.step = self._step(request)
            obj.position = draft.end_of(obj.step.actions.all())
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.refresh_summary()
        draft.bump(form.instance.step.connector_id)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        if "_continue" in request.POST:
            messages.success(request, f'"{obj}" was added.')
            return HttpResponseRedirect(kind_url(self.kind, "change", obj.pk))
        return self._back(request, obj, f'"{obj}" was added to "{obj.step}".')

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if "_continue" in request.POST:
            return super().response_change(request, obj)
        return self._back(request, obj, f'"{obj}" was saved.')

    def _back(self, request: HttpRequest, action: Any, text: str) -> HttpResponse:
        messages.success(request, text)
        return HttpResponseRedirect(flow_url(action.step.connector_id, action.pk))

    # --- other pages ---

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is no list of all actions of a kind; the flow pages show them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:connectors_connector_changelist"))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        request.deleted_from = obj.step.connector_id  # type: ignore[attr-defined]
        super().delete_model(request, obj)
        draft.bump(obj.step.connector_id)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        messages.success(request, f'"{obj_display}" was deleted.')
        return HttpResponseRedirect(flow_url(request.deleted_from))  # type: ignore[attr-defined]


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) < 19


def _without_side_doors(field: Any) -> Any:
    """Related rows are chosen here, but added, changed and deleted on pages of their own."""
    widget = getattr(field, "widget", None)
    for door in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
        if hasattr(widget, door):
            setattr(widget, door, False)
    return field


# --- forms of their own ---

_pages: dict[type[Action], type[KindAdmin]] = {}


def page_of(kind: type[Action]) -> Callable[[type[KindAdmin]], type[KindAdmin]]:
    """Class decorator: the form of `kind` is this one."""

    def register(page: type[KindAdmin]) -> type[KindAdmin]:
        _pages[kind] = page
        return page

    return register


# --- generating ---------------------------------------------------------------------------------


def register_all(site: admin.AdminSite) -> None:
    """A form for every kind; called when all other models are registered."""
    for kind in registry.kinds().values():
        site.register(kind, admin_class(kind, site))


def admin_class(kind: type[Action], site: admin.AdminSite) -> type[KindAdmin]:
    page = _pages.get(kind, KindAdmin)
    rows = [row_model(kind, name) for name in kind.row_sets]
    declared = {
        "kind": kind,
        "inlines": [inline_class(row, site, page.row_inline) for row in rows],
        "conditional_fields": page.conditions
        | {
            field: " || ".join(f"{other} == '{value}'" for value in values)
            for field, (other, values) in _shows_when(kind).items()
        },
    }
    return type(f"{kind.__name__}Admin", (page,), declared)


def _shows_when(kind: type[Action]) -> dict[str, tuple[str, list[str]]]:
    if not kind.has_on_error:
        return kind.shows_when
    retry: tuple[str, list[str]] = ("on_error", [OnError.RETRY.value])
    return {**kind.shows_when, **dict.fromkeys(RETRY, retry)}


def inline_class(
    row: type[Model], site: admin.AdminSite, base: type[RowInline] = RowInline
) -> type[RowInline]:
    """Rows may come from long lists (tags, connectors …), so they are searched for."""
    searched = [
        field.name
        for field in row_fields(row)
        if isinstance(field, ForeignKey) and _is_searchable(field.related_model, site)
    ]
    declared = {"model": row, "autocomplete_fields": searched}
    return type(f"{row.__name__}Inline", (base,), declared)


def _is_searchable(model: Any, site: admin.AdminSite) -> bool:
    return site.is_registered(model) and bool(site.get_model_admin(model).search_fields)
