"""The mail server that alerts are sent by, from one address: smtp://user:password@host:587."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# Scheme → (port by default, TLS from the start, TLS by STARTTLS).
_SCHEMES = {
    "smtps": (465, True, False),
    "smtp": (587, False, True),
    "smtp+plain": (25, False, False),
}


@dataclass(frozen=True)
class MailServer:
    """`host` is empty without a mail server."""

    host: str = ""
    port: int = 587
    user: str = ""
    password: str = ""
    tls_from_the_start: bool = False
    starttls: bool = False


def read(url: str) -> MailServer:
    """Raises ImproperlyConfigured, without showing the address: there may be a password in it."""
    if not url:
        return MailServer()
    problem = ImproperlyConfigured(
        "SWITCHBOARD_EMAIL_URL must look like smtp://user:password@mail.example:587 (STARTTLS), "
        "smtps://… (TLS from the start) or smtp+plain://… (no encryption)."
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise problem
    usual, at_once, starttls = _SCHEMES[parts.scheme]
    return MailServer(
        parts.hostname,
        port or usual,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        at_once,
        starttls,
    )
