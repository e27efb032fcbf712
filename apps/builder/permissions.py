"""Who may do what with a flow: it is a part of its connector, so the connector's permissions
decide, not one per kind of action."""

from typing import Any

from django.http import HttpRequest

from apps.core.models import Credential

VIEW = "connectors.view_connector"
ADD = "connectors.add_connector"
CHANGE = "connectors.change_connector"
DELETE = "connectors.delete_connector"
PICK_CREDENTIAL = "core.view_credential"


def may_view(request: HttpRequest) -> bool:
    return request.user.has_perm(VIEW) or request.user.has_perm(CHANGE)


def may_add(request: HttpRequest) -> bool:
    return request.user.has_perm(ADD)


def may_change(request: HttpRequest) -> bool:
    return request.user.has_perm(CHANGE)


def may_use_credentials(request: HttpRequest) -> bool:
    """Whoever sees that they are there may choose one; their values nobody sees."""
    return request.user.has_perm(PICK_CREDENTIAL) or may_change_credentials(request)


def may_change_credentials(request: HttpRequest) -> bool:
    """And with it, say where they may go."""
    return request.user.has_perm("core.change_credential")


class PicksCredentials:
    """Mixin for admin classes whose form has a credential: those who may not use credentials can
    leave it as it is or take it out, and choose no other."""

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)  # type: ignore[misc]
        field = form.base_fields.get("credential")
        if field is not None and not may_use_credentials(request):
            now = obj.credential_id if obj else None
            field.queryset = Credential.objects.filter(pk=now)
            field.help_text = "You may not use credentials, so you can't choose another one."
        return form


class FlowPermissions:
    """Mixin for the admin classes of a flow's parts, which are on no menu."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request) or request.user.has_perm(DELETE)
