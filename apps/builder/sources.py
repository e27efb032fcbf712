"""What the pages of a connector's event sources share: each source is added from the flow page of
its connector, stays with it, and leads back there."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from apps.builder.links import crumbs, flow_url
from apps.builder.permissions import FlowPermissions
from apps.connectors.models import Connector
from apps.core.lists import ListAdmin


class SourceAdmin(FlowPermissions, ListAdmin):  # type: ignore[misc]
    """The pages of rows with a `connector`, which make events for it."""

    list_display_links = None
    list_filter_submit = True
    warn_unsaved_form = True
    change_form_template = "builder/source_form.html"

    @property
    def noun(self) -> str:
        return str(self.opts.verbose_name)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A source stays with its connector."""
        return [*(["connector"] if obj else []), *self.readonly_fields]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        for door in ("add", "change", "delete", "view"):
            if hasattr(getattr(field, "widget", None), f"can_{door}_related"):
                setattr(field.widget, f"can_{door}_related", False)
        return field

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        source = self.get_object(request, object_id) if object_id else None
        connector = source.connector if source else _named(request)
        title = str(source) if source else f"Add {self.noun}"
        context: dict[str, Any] = {
            "show_save_and_add_another": False,
            "crumbs": crumbs(connector, title),
            "title": title,
            "back_url": flow_url(connector.pk) if connector else "",
            "delete_label": f"Delete {self.noun}",
        }
        return super().changeform_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return self._back(request, obj.connector_id, f'"{obj}" was added.')

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if "_continue" in request.POST:
            return super().response_change(request, obj)
        return self._back(request, obj.connector_id, f'"{obj}" was saved.')

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        request.deleted_from = obj.connector_id  # type: ignore[attr-defined]
        super().delete_model(request, obj)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        where = request.deleted_from  # type: ignore[attr-defined]
        return self._back(request, where, f'"{obj_display}" was deleted.')

    def _back(self, request: HttpRequest, connector_id: int, text: str) -> HttpResponse:
        noun = f"{self.noun[:1].upper()}{self.noun[1:]}"
        messages.success(request, f"{noun} {text}")
        return HttpResponseRedirect(flow_url(connector_id))


def _named(request: HttpRequest) -> Connector | None:
    """The connector that a new source was asked for on."""
    number = request.GET.get("connector", "")
    known = Connector.objects.filter(pk=int(number)) if number.isdecimal() else None
    return known.first() if known is not None and len(number) < 19 else None
