"""What keeps an HTTP API action from being published, in sentences."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.actions.http.literals import ATTRIBUTE
from apps.actions.http.masking import is_literal, login_of, to_the_path
from apps.actions.http.request import json_error
from apps.actions.http.secret import MARK, marked
from apps.core import liquid
from apps.core.http import headers as http_headers
from apps.core.http import urls
from apps.core.http.messages import Request
from apps.core.http.places import Place, not_there
from apps.core.http.redaction import MASK
from apps.core.http.urls import Refused
from apps.core.models import Credential

MAX_ADDRESSES = 10
Rows = Sequence[Mapping[str, str]]

_ATTRIBUTE = re.compile(ATTRIBUTE, re.DOTALL)
INLINE = "Text, where {{ credential }} stands"
NO_HOST = "{{ credential }} can't stand in the host of the URL."
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


def left_out_problems(texts: Iterable[str]) -> Iterator[str]:
    """About secrets that an export left out."""
    if any(MASK in text for text in texts):
        yield f"A secret was left out where {MASK} stands. {MAKE_ONE}."


def credential_problems(how: str, name: str, username: str | None) -> Iterator[str]:
    """About `how` it is sent; `username` is its user name, None without a credential."""
    if username is None:
        return
    if how == "basic" and not username:
        yield "The credential has no user name, which Basic needs."
    elif how in ("header", "query") and not name.strip():
        what = "header" if how == "header" else "parameter"
        yield f"Name the {what} that the credential is sent in."
    elif how == "header":
        try:
            http_headers.check(Request("GET", "", ((name, ""),)))
        except Refused as refused:
            yield str(refused)


def inline_problems(how: str, url: str, others: Iterable[str]) -> Iterator[str]:
    """About `{{ credential }}`, which stands for the credential that is sent that way."""
    found = [marked(text) for text in (url, *others)]
    if any("credential" in liquid.roots(text) for text in found):
        yield "{{ credential }} stands alone, without filters or anything else in its braces."
    if MARK in to_the_path(marked(url)):
        yield NO_HOST
    is_there = any(MARK in text for text in found)
    if how == "text" and not is_there:
        yield "Write {{ credential }} where the credential is to stand: in the URL or in the body."
    if how != "text" and is_there:
        sent = f"choose {INLINE} under Send the credential as" if how else "choose a credential"
        yield f"{{{{ credential }}}} stands in the request: {sent}."


def host_of(url: str) -> Place | None:
    """The server that a URL leads to as it is written; None where attributes decide that."""
    authority = to_the_path(url.strip())
    try:
        return None if liquid.has_attributes(authority) else Place.of(urls.read(f"{authority}/"))
    except Refused:
        return None


def host_problems(url: str, credential: Credential | None) -> Iterator[str]:
    """About where the credential may go."""
    if credential is None:
        return
    listed, there = credential.places(), host_of(url)
    if there and not any(place.covers(there) for place in listed):
        yield not_there(credential.name, there)
    elif not listed:
        yield f'The credential "{credential}" lists no host that it may go to.'


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
