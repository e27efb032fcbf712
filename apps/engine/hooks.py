"""The webhook: POST, GET or PUT /hooks/<token>. Stores the event with its run and answers 202."""

import logging
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.connectors.models import ResponseType
from apps.core import clock, liquid
from apps.core.trouble import is_installations, renew_connection
from apps.core.vault import VaultError
from apps.crm import services as crm
from apps.crm.services import Identity, InvalidContact
from apps.engine import authentication, bodies, dedupe, intake, rate
from apps.engine.authentication import NotAuthentic
from apps.engine.bodies import UnreadableBody
from apps.engine.context import contact_scope, event_scope
from apps.engine.intake import Intake, Posted, Receipt

logger = logging.getLogger(__name__)

# How often an event is stored anew because its connector was published at that very moment.
TRIES = 5
# How values are encoded in a mapped response.
_PLACES = {ResponseType.JSON: "json", ResponseType.XML: "html", ResponseType.TEXT: "plain"}
# Of a body that is too large, so much more is read and thrown away.
CHUNK, DISCARDED_CHUNKS = 64 * 1024, 256


class TooLarge(ValueError):
    """The body exceeds the size limit."""


class BrokenRequest(ValueError):
    """The body did not arrive whole; the message says why."""


class Answered(Exception):
    """The post is not taken: `response` is what the caller gets."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


class AlwaysJson(BaseContentNegotiation):
    """Answers JSON whatever the caller says it accepts: a strange header must not lose an event."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class HookView(APIView):
    """Whoever knows the token may post, unless the connector asks for more."""

    authentication_classes = ()
    permission_classes = ()
    content_negotiation_class = AlwaysJson
    http_method_names = ["get", "post", "put"]

    def get(self, request: Request, token: str) -> HttpResponse:
        try:
            return receive(request._request, token)
        except Answered as answered:
            return answered.response

    post = put = get

    def handle_exception(self, exc: Exception) -> Response:
        if is_installations(exc) or isinstance(exc, VaultError):
            logger.error("An event could not be stored", exc_info=exc)
            renew_connection(exc)
            response = problem(503, "The event could not be stored. Post it again in a minute.")
            response["Retry-After"] = "60"
            return response
        response = super().handle_exception(exc)
        response.data = {"status": "error", **response.data}
        return response


def receive(request: HttpRequest, token: str) -> HttpResponse:
    """Store what was posted and answer the caller."""
    # The body is read even for nobody: bytes left over would cut a connection that is kept open.
    try:
        raw = read_body(request)
    except TooLarge:
        return problem(413, f"The body is larger than {bodies.limit():,} bytes.")
    except BrokenRequest as error:
        return problem(400, str(error))
    known = admit(request, raw, token)
    wait = rate.take(known.connector_id, known.per_minute)
    if wait:
        return too_many(known, wait)
    content_type = request.META.get("CONTENT_TYPE", "")
    try:
        posted = Posted(bodies.read(raw, content_type), _text(content_type)[:200], query(request))
    except UnreadableBody as error:
        kept = Posted(bodies.as_raw(raw), _text(content_type)[:200], query(request))
        return refuse(admit(request, raw, token, fresh=True), kept, error)
    for _ in range(TRIES):
        if known.revision_id is None:
            if known.capture:
                intake.keep_sample(known, posted)
            return unpublished()
        receipt = intake.accept(known, posted, dedupe_key(request, raw, posted, known.dedupe))
        if receipt is not None:
            return answer(known, receipt, posted)
        known = admit(request, raw, token, fresh=True)
    raise OperationalError(f"Connector {known.connector_id} changes all the time")


def admit(request: HttpRequest, raw: bytes, token: str, fresh: bool = False) -> Intake:
    """The connector that this post is for, once it has shown what the connector asks for. Before
    a post is refused, what is remembered of the connector is read again. Raises Answered."""
    known = intake.lookup(token, fresh)
    if known is None:
        raise Answered(nobody())
    try:
        if known.auth.kind == "meta" and request.method == "GET":
            challenge = authentication.meta_challenge(query(request), token)
            if challenge is not None:
                raise Answered(HttpResponse(challenge, content_type="text/plain"))
        authentication.verify(known.auth, raw, request.headers, clock.now())
    except NotAuthentic as error:
        if not fresh:
            return admit(request, raw, token, fresh=True)
        logger.warning("A post to connector %s is not authentic: %s", known.connector_id, error)
        raise Answered(unauthorised(known, error)) from None
    return known


def refuse(known: Intake, posted: Posted, error: UnreadableBody) -> Response:
    """Keep a body that can't be read for the operator, and tell the caller."""
    if known.revision_id is None and not known.capture:
        return unpublished()
    kept = intake.keep_rejected(known, posted, str(error))
    return problem(400, str(error), event_id=kept.pk)


def query(request: HttpRequest) -> dict[str, Any]:
    return bodies.query_fields(_query_string(request))


def _query_string(request: HttpRequest) -> bytes:
    text: str = request.META.get("QUERY_STRING", "")
    return text.encode("latin-1", "replace")


def read_body(request: HttpRequest) -> bytes:
    """The raw body, also of a chunked request. Raises TooLarge beyond the limit and BrokenRequest
    when less arrives than was announced."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    try:
        length = int(announced or 0)
    except ValueError:
        raise BrokenRequest("The Content-Length is not a number.") from None
    chunked = not announced and request.META.get("wsgi.input_terminated")
    # Django takes a missing length for an empty body; the server knows where it ends.
    stream = request.META["wsgi.input"] if chunked else request
    limit = bodies.limit()
    try:
        raw: bytes = stream.read(limit + 1)
        rest = DISCARDED_CHUNKS if len(raw) > limit else 0
        while rest and stream.read(CHUNK):  # who is still sending would miss the answer
            rest -= 1
    except Exception:  # each server has its own errors for a lost caller or a malformed chunk
        raise BrokenRequest("The body did not arrive whole.") from None
    if len(raw) > limit:
        raise TooLarge
    if len(raw) < length:
        raise BrokenRequest("The body is shorter than its Content-Length.")
    return raw


def dedupe_key(request: HttpRequest, raw: bytes, posted: Posted, rule: dedupe.Rule) -> str:
    """What names this event once; empty when nothing does."""
    if rule.by == "header" and rule.header:
        return dedupe.by_header(_text(request.headers.get(rule.header, "")))
    if rule.by == "path":
        return dedupe.by_path(rule.path, event_scope(posted.event()))
    return dedupe.by_body(raw, _query_string(request)) if rule.by == "body" else ""


def answer(known: Intake, receipt: Receipt, posted: Posted) -> HttpResponse:
    """What the caller of a stored event gets: the mapped response, else the event's id."""
    if known.response_body:
        try:
            return mapped_response(known, receipt, posted)
        except Exception:
            # The event is stored: a caller that got an error would post it again.
            logger.exception("The mapped response of connector %s broke", known.connector_id)
    plain: dict[str, Any] = {"status": "ok", "event_id": receipt.event_id}
    if receipt.duplicate:
        plain["duplicate"] = True
    return Response(plain, status=202)


def mapped_response(known: Intake, receipt: Receipt, posted: Posted) -> HttpResponse:
    """The operator's own answer: attributes of the event and of a contact that exists already."""
    scope = event_scope(posted.event(pk=receipt.event_id))
    scope.update(event_id=receipt.event_id, duplicate=receipt.duplicate)
    contact = None
    if "contact" in liquid.roots(known.response_body):
        identity = _identity(known.mapping, scope)
        contact = crm.find(identity) if identity else None
    scope["contact"] = contact_scope(contact)
    # Revisions from before there was a choice may name any other type: none of these is answered.
    kind = ResponseType.of(known.response_type) or ResponseType.TEXT
    text = liquid.render(known.response_body, scope, _PLACES[kind])
    charset = "" if kind is ResponseType.JSON else "; charset=utf-8"  # JSON has no other
    return HttpResponse(text, status=202, content_type=f"{kind}{charset}")


def _identity(mapping: dict[str, str], scope: dict[str, Any]) -> Identity | None:
    phone, email = (liquid.render(mapping.get(name, ""), scope) for name in ("phone", "email"))
    try:
        return Identity.read(phone, email)
    except InvalidContact:
        return None


def nobody() -> Response:
    return problem(404, "There is no connector at this address.")


def unpublished() -> Response:
    return problem(404, "This connector has not been published yet.")


def unauthorised(known: Intake, error: NotAuthentic) -> Response:
    response = problem(401, str(error))
    scheme = {"basic": "Basic", "header": "Key"}.get(known.auth.kind, "Signature")
    response["WWW-Authenticate"] = f'{scheme} realm="Switchboard"'
    return response


def too_many(known: Intake, wait: int) -> Response:
    response = problem(
        429,
        f"This connector takes {known.per_minute:,} events a minute. Post this one again in "
        f"{wait} second{'' if wait == 1 else 's'}.",
    )
    response["Retry-After"] = str(wait)
    return response


def problem(status: int, detail: str, **more: object) -> Response:
    return Response({"status": "error", "detail": detail, **more}, status=status)


def _text(value: str) -> str:
    """A header as text that any database takes."""
    return value.replace("\0", "").encode(errors="replace").decode()
