"""Alert mails of HTTP API actions: at most one an hour for each, however many requests fail."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import models
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django_q.tasks import async_task

from apps.connectors.models import Action, Performing
from apps.core import clock, rows

EVERY = timedelta(hours=1)
# Two readings of the clock differ by less; what lies further ahead was written before a step back.
AHEAD = timedelta(minutes=1)


class HttpAlert(models.Model):
    """When an action's last alert was sent; its row is what workers compete for."""

    action_uid = models.UUIDField(unique=True)
    mailed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Alerts of {self.action_uid}"


def last_mail(action_uid: UUID) -> datetime | None:
    """When the last alert went out, if that keeps the next one back."""
    found = HttpAlert.objects.filter(_holds_back(clock.now()), action_uid=action_uid)
    return found.values_list("mailed_at", flat=True).first()


def _holds_back(now: datetime) -> Q:
    return Q(mailed_at__gt=now - EVERY, mailed_at__lt=now + AHEAD)


def reset(action_uid: UUID) -> None:
    """*Reset Mail Timeout*: the next failure is mailed at once."""
    HttpAlert.objects.filter(action_uid=action_uid).update(mailed_at=None)


def can_mail() -> bool:
    return bool(settings.EMAIL_HOST)


def tell(run: Performing, action: Action, recipients: list[str], why: str) -> None:
    """Mail that the action failed, unless that was done within the hour. The mail is a task of
    Django-Q, queued in the transaction that the failure is part of."""
    if not recipients or not can_mail():
        return
    uid = UUID(str(action.uid))
    # Without writing, and with one query for all the runs that fail together.
    quiet = run.once(("http alert", uid), lambda: [last_mail(uid) is not None])
    if quiet[0]:
        return
    quiet[0] = True
    if _claim(uid):
        connector = str(run.value("connector.name") or "")
        async_task(mail, str(uid), recipients, connector, str(action), why, run.cause["cause_id"])


def _claim(uid: UUID) -> bool:
    """Compare and swap: whoever takes the hour sends the mail."""
    now = clock.now()
    if HttpAlert.objects.filter(~_holds_back(now), action_uid=uid).update(mailed_at=now):
        return True
    return rows.insert_unless_taken(HttpAlert(action_uid=uid, mailed_at=now)) is not None


def mail(
    uid: str, recipients: list[str], connector: str, action: str, why: str, run_id: int | None
) -> None:
    """Send it (a Django-Q task). One that can't be sent does not use up the hour."""
    what = "A test" if run_id is None else f"Run {run_id}"
    when = date_format(timezone.localtime(clock.now()), "DATETIME_FORMAT")
    text = (
        f"{what} of the connector {connector} could not do its action {action}:\n\n"
        f"    {why}\n\n"
        f"When: {when}\n"
        f"{_links(uid, run_id)}\n"
        "Further failures of this action are not mailed for one hour. "
        "Reset Mail Timeout in its form ends that.\n"
    )
    subject = " ".join(f"{connector}: {action} failed".split())[:200]
    try:
        EmailMessage(subject, text, to=recipients).send()
    except Exception:
        reset(UUID(uid))
        raise


def _links(uid: str, run_id: int | None) -> str:
    action = Action.objects.filter(uid=uid).values_list("pk", flat=True).first()
    pages: list[tuple[str, str, Any]] = [("Logs", "admin:actions_httpapi_logs", action)]
    pages.append(("Run", "admin:engine_run_change", run_id))
    lines = ""
    for name, page, pk in pages:
        try:
            lines += f"{name}: {settings.PUBLIC_URL}{reverse(page, args=[pk])}\n" if pk else ""
        except NoReverseMatch:
            continue
    return lines
