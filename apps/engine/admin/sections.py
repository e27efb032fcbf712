"""The latest runs on a contact's page."""

from django.http import HttpRequest

from apps.core.pages import badge, link
from apps.crm.models import Contact
from apps.crm.sections import Section, contact_section
from apps.engine.admin.columns import connector_name
from apps.engine.models import Run


@contact_section
def latest_runs(request: HttpRequest, contact: Contact, limit: int) -> Section | None:
    if not request.user.has_perm("engine.view_run"):
        return None
    runs = Run.objects.filter(contact__in=contact.ids).order_by("-pk").defer("values")
    rows = [
        [
            link("admin:engine_run_change", run.pk, f"Run {run.pk}"),
            connector_name(run),
            badge(run.state, run.get_state_display()),
            run.started_at,
        ]
        for run in runs.prefetch_related("connector")[:limit]
    ]
    return Section("Latest runs", ["Run", "Connector", "State", "Started"], rows)
