"""Notification: ask any HTTP API, and use its answer in further steps."""

from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.functional import cached_property

from apps.actions.http import alerts, answers, checks, mapping, masking
from apps.actions.http import exposed as exposing
from apps.actions.http import request as building
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Call, Done, Failed, Outcome
from apps.connectors.reach import CREDENTIAL, RECIPIENT, URL, Reach, referred
from apps.connectors.registry import register
from apps.core.fields import Column, RowsField, TemplateField
from apps.core.http.messages import Failure, Kind, Response
from apps.core.models import Credential
from apps.core.vault import VaultError

# A lost answer of a request that may be repeated is asked for so often in all.
TRIES = 3
NAMED = [
    Column("name", "Key", placeholder="X-Shop"),
    Column("value", "Value", attributes=True, required=False),
]
FIELDS = [
    Column("name", "Key", placeholder="order"),
    Column("value", "Value", attributes=True, required=False),
]


@register
class HttpApi(Action):
    """Trigger any 3rd party HTTP API and fetch responses for for seamless integrations"""

    slug, title, category, icon = "http_api", "HTTP API", "Notification", "api"
    gives, given = "http", ["status"]  # and what has been mapped of its answers
    editor = [
        "method",
        "url",
        "headers",
        "body_type",
        "fields",
        "body",
        "credential",
        "credential_as",
        "credential_name",
        "safe_to_repeat",
        "over_limit",
        "alert_emails",
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
        NONE = "none", "None"
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
        TEXT = "text", checks.INLINE

    class OverLimit(models.TextChoices):
        FAIL = "fail", 'Fail with "Rate Limit Exceeded"'
        WAIT = "wait", "Wait for the next free slot"

    method = models.CharField(max_length=7, choices=Method, default=Method.POST)
    url = TemplateField(
        "URL",
        help_text="The API's endpoint, such as https://api.shop.example/contacts. Attributes may "
        "stand in it.",
    )
    headers = RowsField(
        "header",
        columns=NAMED,
        add_label="Add Header",
        help_text="What the API's documentation asks for. Keys and passwords belong into a "
        "credential, not here.",
    )
    body_type = models.CharField(
        "body",
        max_length=9,
        choices=BodyType,
        default=BodyType.NONE,
        help_text="Query String: key and value pairs, in the URL for GET and HEAD. Row: any kind "
        "of contents, as you write it; its Content-Type says how attributes are encoded in it.",
    )
    fields = RowsField("body fields", columns=FIELDS, add_label="Add field")
    # JSON with attributes is checked leaf by leaf, so this is no TemplateField.
    body = models.TextField(
        "content",
        blank=True,
        help_text='In JSON, attributes stand in quotes: {"id": "{{ event.order.id }}"}. One that '
        "is the whole value keeps its type.",
    )
    credential = models.ForeignKey(
        Credential,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="The key, token or password that the API wants. Its value is never shown, not "
        "in logs either.",
    )
    credential_as = models.CharField(
        "send the credential as",
        max_length=6,
        choices=As,
        default=As.BEARER,
        help_text="As text, it stands in the URL, in headers or in the body, wherever "
        "{{ credential }} does.",
    )
    credential_name = models.CharField(
        "name of the header or parameter",
        max_length=100,
        blank=True,
        help_text="For example X-Api-Key.",
    )
    # Fingerprints of texts that look like secrets and are none, as an operator said.
    no_secrets = models.JSONField(default=list, blank=True, editable=False)
    safe_to_repeat = models.BooleanField(
        default=False,
        help_text="When an answer is lost, nobody knows whether the API did what was asked. Tick "
        "this if asking twice does no harm: then it is asked again, with the same "
        "Idempotency-Key. Otherwise it ends as outcome unknown and is never repeated.",
    )
    over_limit = models.CharField(
        "over the rate limit",
        max_length=4,
        choices=OverLimit,
        default=OverLimit.FAIL,
        help_text="All HTTP API actions and tests share the account's requests per minute.",
    )
    alert_emails = models.CharField(
        "alert email",
        max_length=2_600,
        blank=True,
        help_text="Who gets a mail when a request has failed: up to 10 addresses, separated by "
        "commas. At most one mail an hour.",
    )

    def summary(self) -> str:
        if not self.url:
            return ""
        return f"{self.method} {exposing.masked_url(self.url, self.no_secrets)}"

    def clean(self) -> None:
        errors = {
            "body": checks.body_error(self.body_type, self.body),
            "alert_emails": checks.addresses_error(self.alert_emails),
        }
        found = {name: error for name, error in errors.items() if error}
        if found:
            raise ValidationError(found)

    def misuses(self) -> list[str]:
        """What is wrong with how the credential is sent: no request is made like that."""
        secret = self.credential
        fields, body = self._sent()
        texts = [body, *(row["value"] for row in (*self.headers, *fields))]
        user = secret.username if secret else None
        how = self.credential_as if secret else ""
        return [
            *checks.credential_problems(self.credential_as, self.credential_name, user),
            *checks.inline_problems(how, self.url, texts),
        ]

    def problems(self) -> list[str]:
        secret = self.credential
        named = {
            "basic": "Authorization",
            "bearer": "Authorization",
            "header": self.credential_name,
        }
        error = checks.body_error(self.body_type, self.body)
        fields, body = self._sent()
        texts = [row["value"] for row in (*self.headers, *fields)]
        return [
            *checks.url_problems(self.url),
            *checks.header_problems(
                self.headers, named.get(self.credential_as, "") if secret else ""
            ),
            *checks.left_out_problems([self.url, body, *texts]),
            *(one.sentence() for one in self.exposed()),
            *([error] if error else []),
            *self.misuses(),
            *checks.host_problems(self.url, secret),
        ]

    def _sent(self) -> tuple[list[dict[str, str]], str]:
        """The fields and the body, as far as the body's type has any."""
        shown = self.shows_when
        return (
            self.fields if self.body_type in shown["fields"][1] else [],
            self.body if self.body_type in shown["body"][1] else "",
        )

    def exposed(self) -> list[exposing.Exposed]:
        """Secrets that stand in the request themselves, and that nobody has called harmless."""
        found = exposing.find(self.url, self.headers, *self._sent())
        return [one for one in found if one.fingerprint not in self.no_secrets]

    def _veil(self) -> masking.Veil:
        """Over what looks like a secret, and over the credential's mark."""
        texts = [one.text for one in self.exposed() if not one.masked_by_name]
        return masking.Veil.of([*texts, *([building.MARK] if self.is_inline else [])])

    @property
    def is_inline(self) -> bool:
        """Whether its credential stands in its texts."""
        return self.credential_as == self.As.TEXT

    @cached_property
    def _hidden(self) -> masking.Veil:
        """The veil of a thawed action, which nobody changes any more."""
        return self._veil()

    @classmethod
    def exported(cls, config: dict[str, Any]) -> dict[str, Any]:
        """A draft may hold what publishing refuses: secrets that stand there themselves."""
        names = ("url", "headers", "fields", "body")
        masked = exposing.masked(*(config[name] for name in names), config["no_secrets"])
        return {**config, **dict(zip(names, masked, strict=True))}

    @classmethod
    def arrived(cls, config: dict[str, Any]) -> dict[str, Any]:
        """(A file's word that its secrets are none is nobody's here.)"""
        return {**config, "no_secrets": []}

    @classmethod
    def reaches(
        cls, config: dict[str, Any], refs: dict[str, Any], rows: dict[str, Any]
    ) -> list[Reach]:
        url = cls.exported(config)["url"]
        sent_as = cls.As(config["credential_as"]).label
        alerted = checks.addresses(config["alert_emails"])
        return [
            *([Reach(URL, f"{config['method']} {url}")] if url.strip() else []),
            *referred(CREDENTIAL, refs["credential"], f"sent as: {sent_as}"),
            *(Reach(RECIPIENT, address, "alert when a request has failed") for address in alerted),
        ]

    def touches_shared(self) -> bool:
        return bool(settings.HTTP_PER_MINUTE)

    @property
    def repeatable(self) -> bool:
        return self.method not in ("POST", "PATCH") or self.safe_to_repeat

    def perform(self, run: Performing) -> Outcome:
        try:
            secret = self._secret(run)
        except VaultError as error:
            return Failed(str(error))
        parts = building.build(
            run,
            self.method,
            self.url,
            self.headers,
            self.body_type,
            self.fields,
            self.body,
            self._hidden,
            inline=self.is_inline and secret is not None,
        )
        if parts.spells_a_secret_host():
            return Failed(checks.NO_HOST)
        return self._call(parts, secret, 1)

    def gave_up(self, run: Performing, failed: Failed) -> None:
        if self.alert_emails:
            alerts.tell(run, self, checks.addresses(self.alert_emails), failed.note)

    def _call(self, parts: building.Parts, secret: building.Secret | None, tries: int) -> Call:
        return Call(
            parts.request(secret),
            then=partial(self._answered, parts=parts, secret=secret, tries=tries),
            shown=parts.shown(secret),
            repeatable=self.repeatable,
            waits=self.over_limit == self.OverLimit.WAIT,
            secrets=parts.secrets(secret),
        )

    def _secret(self, run: Performing) -> building.Secret | None:
        credential = run.ref(self, "credential")
        if credential is None:
            return None
        place, name = self.credential_as, self.credential_name
        # Decrypted once for all the runs that are performed together.
        return run.once(
            ("http secret", credential.pk, place, name),
            lambda: building.Secret.of(
                credential.name,
                credential.places(),
                place,
                name,
                credential.username,
                credential.reveal(),
            ),
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
            return self._read(run, answer, masking.Veil(secret.values if secret else ()))
        if answer.kind == Kind.LIMITED or not answer.sent:
            return Failed(answer.reason)
        if not self.repeatable:
            return Failed(f"Outcome unknown: {answer.reason}", unknown=True)
        if tries < TRIES:
            return self._call(parts, secret, tries + 1)
        return Failed(answer.reason)

    def _read(self, run: Performing, answer: Response, veil: masking.Veil) -> Outcome:
        line = answers.status_line(answer)
        found: dict[str, Any] | None = None
        try:
            # (Without what was masked before: JSON can spell a text in a thousand ways.)
            found = veil.over(answers.read(answer.body))
        except answers.NotJson:
            values: dict[str, Any] = {"status": answer.status, "body": answers.text(answer.body)}
        else:
            values = answers.values(answer.status, found)
        if answer.status >= 400:
            wait = answers.retry_after(answer, run.now)
            return Failed(f"The server answered {line}", values, retry_after=wait)
        if found is None:
            bodiless = self.method == "HEAD" or answer.status in answers.WITHOUT_BODY
            return Done(line if bodiless else f"{line}. {answers.NOT_JSON}", values)
        mapped, changed = mapping.read(run, self.uid, found)
        if not changed:
            return Done(line, values)
        return Done(f"{line}. {mapping.CHANGED}", answers.values(answer.status, mapped))
