"""What keeps an HTTP API action from being published, in sentences."""

import re
from collections.abc import Iterator, Mapping, Sequence

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.actions.http.masking import is_literal, login_of, names_a_secret
from apps.actions.http.request import json_error
from apps.core import liquid
from apps.core.http import headers as http_headers
from apps.core.http import urls
from apps.core.http.messages import Request
from apps.core.http.urls import Refused

MAX_ADDRESSES = 10
Rows = Sequence[Mapping[str, str]]

_ATTRIBUTE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
MAKE_ONE = "Make a credential of it and choose it under Credential"


def url_problems(url: str) -> Iterator[str]:
    """About the URL as it is written, with its attributes not filled in yet."""
    url = url.strip()
    if not url:
        yield "Fill in the URL."
        return
    login = login_of(url)
    if login:
        if is_literal(login):
            yield f"The URL contains a user name or a password. {MAKE_ONE}."
        else:
            yield "The URL contains a user name or a password. Send them as a credential."
    elif not url.startswith("{{") and not url.startswith("{%"):
        # A digit may stand in a name, a port and a path alike.
        try:
            urls.read(_ATTRIBUTE.sub("1", url))
        except Refused as refused:
            yield str(refused)
    for name, value in _parameters(url):
        if names_a_secret(name) and is_literal(value):
            yield f'The URL contains a secret in the parameter "{name}". {MAKE_ONE}.'


def _parameters(url: str) -> Iterator[tuple[str, str]]:
    query = url.partition("?")[2].partition("#")[0]
    for part in query.split("&"):
        name, _, value = part.partition("=")
        yield name, value


def header_problems(rows: Rows, credential_header: str) -> Iterator[str]:
    """About the headers; `credential_header` is the one that the credential fills."""
    for row in rows:
        name = row["name"]
        try:
            http_headers.check(Request("GET", "", ((name, ""),)))
        except Refused as refused:
            yield str(refused)
            continue
        if credential_header and name.lower() == credential_header.lower():
            yield f'The header "{name}" is given twice: in the list and by the credential.'
        elif names_a_secret(name) and is_literal(row["value"]):
            yield f'The header "{name}" contains a secret. {MAKE_ONE}.'


def parameter_problems(rows: Rows) -> Iterator[str]:
    """About parameters that go into the URL."""
    for row in rows:
        if names_a_secret(row["name"]) and is_literal(row["value"]):
            yield f'The parameter "{row["name"]}" contains a secret. {MAKE_ONE}.'


def credential_problems(place: str, name: str, username: str | None) -> Iterator[str]:
    """About how the credential is sent; `username` is its user name, None without a credential."""
    if username is None:
        return
    if place == "basic" and not username:
        yield "The credential has no user name, which Basic needs."
    elif place in ("header", "query") and not name.strip():
        what = "header" if place == "header" else "parameter"
        yield f"Name the {what} that the credential is sent in."
    elif place == "header":
        try:
            http_headers.check(Request("GET", "", ((name, ""),)))
        except Refused as refused:
            yield str(refused)


def addresses(text: str) -> list[str]:
    """The email addresses of a comma-separated list, each once, in order."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def addresses_error(text: str) -> str:
    """What is wrong with a list of addresses; empty when all is well."""
    found = addresses(text)
    if len(found) > MAX_ADDRESSES:
        return f"An alert goes to up to {MAX_ADDRESSES} email addresses; these are {len(found)}."
    for address in found:
        try:
            validate_email(address)
        except ValidationError:
            return f'"{address}" is no email address. Separate several by commas.'
    return ""


def body_error(body_type: str, text: str) -> str:
    """What is wrong with a body as it is written: JSON, or text with attributes."""
    if body_type == "json":
        return json_error(text)
    return liquid.syntax_error(text) if body_type == "raw" else ""
