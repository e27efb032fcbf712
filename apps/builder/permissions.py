"""Who may do what with a flow: it is a part of its connector, so the connector's permissions
decide, not one per kind of action."""

from typing import Any

from django.http import HttpRequest

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
    """Whether one may let connectors and actions use them; nobody sees a secret."""
    return request.user.has_perm(PICK_CREDENTIAL)


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
