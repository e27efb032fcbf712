"""Guessing passwords: after three failures within three minutes, the account is locked for a
quarter of an hour to the address that they came from (product.md, section 17); after many more, to
everybody, and the address to every account. django-axes counts and refuses, before any password is
looked at."""

from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.core.http.addresses import plain

WITHIN = timedelta(minutes=3)
# Failures of one account from anywhere, and from one address with any account: so many times more.
SHARED = 10


class Handler(AxesDatabaseHandler):  # type: ignore[misc]
    """Failures further apart than WITHIN are no guessing."""

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any
    ) -> None:
        if request is not None:
            old = request.axes_attempt_time - WITHIN
            self._mine(request, credentials).filter(
                attempt_time__lt=old, failures_since_start__lt=settings.AXES_FAILURE_LIMIT
            ).delete()
        super().user_login_failed(sender, credentials, request, **kwargs)

    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        since = get_cool_off_threshold(request)
        recent = AccessAttempt.objects.filter(attempt_time__gte=since)
        name, address = get_client_username(request, credentials), request.axes_ip_address
        return max(
            _count(recent.filter(username=name, ip_address=address)),
            _count(recent.filter(username=name)) // SHARED,
            _count(recent.filter(ip_address=address)) // SHARED,
        )

    def _mine(self, request: Any, credentials: dict[str, Any]) -> Any:
        name = get_client_username(request, credentials)
        return AccessAttempt.objects.filter(username=name, ip_address=request.axes_ip_address)


def _count(attempts: Any) -> int:
    return attempts.aggregate(total=Sum("failures_since_start"))["total"] or 0


def address(request: HttpRequest) -> str | None:
    """Whom a failure is counted for: behind a proxy, whom the proxy names last. Of IPv6 the
    network, since whoever has one address there has as many as he likes."""
    seen = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        seen = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip() or seen
    try:
        found = plain(ip_address(seen))  # a server may write IPv4 as ::ffff:203.0.113.7
    except ValueError:
        return None
    return str(ip_network((found, 64), strict=False)[0] if found.version == 6 else found)


def refused(request: HttpRequest, credentials: Any) -> HttpResponse:
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    response = render(request, "core/locked.html", {"minutes": seconds // 60}, status=429)
    response["Retry-After"] = str(seconds)
    return response
