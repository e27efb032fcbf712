"""Addresses and breadcrumbs of a connector's pages."""

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse

from apps.connectors.models import Action, Connector


@dataclass(frozen=True)
class Crumb:
    title: str
    link: str = ""


def flow_url(connector_id: int, action_id: int | None = None) -> str:
    """The flow page, at one of its actions if given."""
    page = reverse("admin:connectors_connector_flow", args=[connector_id])
    return f"{page}#action-{action_id}" if action_id else page


def settings_url(connector_id: int) -> str:
    return reverse("admin:connectors_connector_change", args=[connector_id])


def export_url(connector_id: int) -> str:
    return reverse("admin:connectors_connector_export", args=[connector_id])


def kind_url(kind: type[Action], page: str, *args: int) -> str:
    """The `add`, `change` or `delete` page of a kind's form."""
    return reverse(f"admin:{kind._meta.app_label}_{kind._meta.model_name}_{page}", args=args)


def log_url(model: str, connector_id: int) -> str:
    """The list of the connector's events, runs …; empty where there is no such page."""
    try:
        page = reverse(f"admin:engine_{model}_changelist")
    except NoReverseMatch:
        return ""
    return f"{page}?connector__id__exact={connector_id}"


def crumbs(connector: Connector | None, *rest: str) -> list[Crumb]:
    """Connectors › the connector's flow › …"""
    trail = [Crumb("Connectors", reverse("admin:connectors_connector_changelist"))]
    if connector is not None:
        trail.append(Crumb(connector.name, flow_url(connector.pk) if rest else ""))
    return [*trail, *(Crumb(title) for title in rest)]
