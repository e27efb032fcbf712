"""Notification: ask any HTTP API, and use its answer in further steps."""

import json
from functools import partial
from typing import Any

from django.db import models

from apps.actions.http import request as building
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Call, Done, Failed, Outcome
from apps.connectors.registry import register
from apps.core.fields import Column, RowsField, TemplateField
from apps.core.http.messages import Failure, Kind, Response
from apps.core.models import Credential

# A lost answer of a request that may be repeated is asked for so often in all.
TRIES = 3
NOT_JSON = "Response Mapping Not Done, Only JSON can be mapped as Response"
NAMED = [
    Column("name", "Key", placeholder="X-Shop"),
    Column("value", "Value", attributes=True, required=False),
]


@register
class HttpApi(Action):
    """Trigger any 3rd party HTTP API and fetch responses for for seamless integrations"""

    slug, title, category, icon = "http_api", "HTTP API", "Notification", "api"
    gives = "http"
    writes = False
    editor = [
        "method",
        "url",
        "credential",
        "credential_as",
        "credential_name",
        "headers",
        "body_type",
        "fields",
        "body",
        "safe_to_repeat",
        "over_limit",
    ]
    shows_when = {
        "credential_name": ("credential_as", ["header", "query"]),
        "fields": ("body_type", ["query", "form", "multipart"]),
        "body": ("body_type", ["json", "raw"]),
        "safe_to_repeat": ("method", ["POST", "PATCH"]),
    }

    class Method(models.TextChoices):
        GET = "GET", "GET"
        POST = "POST", "POST"
        PUT = "PUT", "PUT"
        PATCH = "PATCH", "PATCH"
        DELETE = "DELETE", "DELETE"
        HEAD = "HEAD", "HEAD"
        OPTIONS = "OPTIONS", "OPTIONS"

    class BodyType(models.TextChoices):
        NONE = "none", "No body"
        QUERY = "query", "Query String"
        JSON = "json", "JSON"
        RAW = "raw", "Row"
        FORM = "form", "Form"
        MULTIPART = "multipart", "Multipart form"

    class As(models.TextChoices):
        BEARER = "bearer", "Bearer token"
        BASIC = "basic", "User name and password (Basic)"
        HEADER = "header", "Header"
        QUERY = "query", "Parameter of the URL"

    class OverLimit(models.TextChoices):
        FAIL = "fail", 'Fail with "Rate Limit Exceeded"'
        WAIT = "wait", "Wait for the next free slot"

    method = models.CharField(max_length=7, choices=Method, default=Method.POST)
    url = TemplateField("URL")
    credential = models.ForeignKey(
        Credential, null=True, blank=True, on_delete=models.RESTRICT, related_name="+"
    )
    credential_as = models.CharField(
        "send it as", max_length=6, choices=As, default=As.BEARER, blank=True
    )
    credential_name = models.CharField("header or parameter", max_length=100, blank=True)
    headers = RowsField("header", columns=NAMED, add_label="Add Header")
    body_type = models.CharField("body", max_length=9, choices=BodyType, default=BodyType.NONE)
    fields = RowsField(columns=NAMED, add_label="Add field")
    body = TemplateField("content", blank=True)
    safe_to_repeat = models.BooleanField(default=False)
    over_limit = models.CharField(max_length=4, choices=OverLimit, default=OverLimit.FAIL)

    def summary(self) -> str:
        return f"{self.method} {self.url}" if self.url else ""

    def problems(self) -> list[str]:
        found = [] if self.url.strip() else ["Fill in the URL."]
        if self.body_type == self.BodyType.JSON:
            error = building.json_error(self.body)
            found += [error] if error else []
        return found

    def touches_shared(self) -> bool:
        from django.conf import settings

        return bool(settings.HTTP_PER_MINUTE)

    @property
    def repeatable(self) -> bool:
        return self.method not in ("POST", "PATCH") or self.safe_to_repeat

    def perform(self, run: Performing) -> Outcome:
        secret = self._secret(run)
        parts = building.build(
            run, self.method, self.url, self.headers, self.body_type, self.fields, self.body
        )
        return self._call(parts, secret, 1)

    def _call(self, parts: building.Parts, secret: building.Secret | None, tries: int) -> Call:
        return Call(
            parts.request(secret),
            then=partial(self._answered, parts=parts, secret=secret, tries=tries),
            shown=parts.shown(secret),
            repeatable=self.repeatable,
            waits=self.over_limit == self.OverLimit.WAIT,
        )

    def _secret(self, run: Performing) -> building.Secret | None:
        credential = run.ref(self, "credential")
        if credential is None:
            return None
        return building.Secret.of(
            self.credential_as, self.credential_name, credential.username, credential.reveal()
        )

    def _answered(
        self,
        run: Performing,
        answer: Response | Failure,
        parts: building.Parts,
        secret: building.Secret | None,
        tries: int,
    ) -> Outcome:
        if isinstance(answer, Response):
            return self._read(answer)
        if answer.kind == Kind.LIMITED or not answer.sent:
            return Failed(answer.reason)
        if not self.repeatable:
            return Failed(f"Outcome unknown: {answer.reason}", unknown=True)
        if tries < TRIES:
            return self._call(parts, secret, tries + 1)
        return Failed(answer.reason)

    def _read(self, answer: Response) -> Outcome:
        values: dict[str, Any] = {"status": answer.status}
        note = f"{answer.status} {answer.reason}".strip()
        try:
            found = json.loads(answer.body)
        except ValueError:
            values["body"] = answer.body.decode("utf-8", "replace")
            note = f"{note}. {NOT_JSON}"
        else:
            values.update(found if isinstance(found, dict) else {"items": found})
        if answer.status >= 400:
            return Failed(f"The server answered {note}", values)
        return Done(note, values)
