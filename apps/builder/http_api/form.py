"""The form: more than other kinds have, since what an API answers is seen by asking it."""

import uuid
from typing import Any, ClassVar

from django.core import signing
from django.http import HttpRequest
from django.urls import path, reverse

from apps.actions.http import alerts, mapping
from apps.actions.kinds.http_api import HttpApi
from apps.builder.given import http_samples
from apps.builder.http_api import views
from apps.builder.http_api.questions import HttpApiForm
from apps.builder.kinds import KindAdmin, page_of
from apps.builder.permissions import may_change, may_change_credentials, may_use_credentials
from apps.builder.samples import newest_events
from apps.connectors.models import Action, Step
from apps.connectors.on_error import OnError
from apps.engine.models import Call

# The seed's own words.
FALLBACK = {
    OnError.CONTINUE: "Continue Further Steps",
    OnError.STOP: "Stop Executing Further Steps",
}
REQUEST = ["label", "method", "url", "headers", "body_type", "fields", "body"]
CREDENTIAL = ["credential", "may_go", "credential_as", "credential_name"]
FAILING = ["safe_to_repeat", "over_limit", "alert_emails"]
_NEW = "http_api new action"


@page_of(HttpApi)
class HttpApiAdmin(KindAdmin):
    form = HttpApiForm
    conditions: ClassVar[dict[str, str]] = {"may_go": "credential != ''"}
    change_form_template = "builder/http_api/form.html"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        common = super().get_fieldsets(request, obj)[-1][1]["fields"]
        on_error = [name for name in common if name not in ("label", "enabled")]
        asked = self._questions(request, obj)
        return [
            (None, {"fields": [*REQUEST, *(name for name in asked if name == "no_secret")]}),
            ("Credential", {"fields": [n for n in CREDENTIAL if n != "may_go" or n in asked]}),
            ("If the request fails", {"fields": [*on_error, *FAILING]}),
            ("In the flow", {"fields": ["enabled"]}),
        ]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.may_use_credentials = may_use_credentials(request)
        for name in {"may_go", "no_secret"} - self._questions(request, obj):
            form.base_fields.pop(name, None)
        return form

    @staticmethod
    def _questions(request: HttpRequest, action: HttpApi | None) -> set[str]:
        """What there is to ask of this person about this action."""
        asked = set()
        if may_change(request) and may_change_credentials(request):
            asked.add("may_go")
        if may_change(request) and action is not None and action.exposed():
            asked.add("no_secret")
        return asked

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "on_error" and field is not None:
            field.label = "Fallback"
        if db_field.name in ("on_error", "retry_then") and field is not None:
            field.choices = [(value, FALLBACK.get(value, name)) for value, name in field.choices]
        if db_field.name == "alert_emails" and field is not None and not alerts.can_mail():
            field.help_text += (
                " No mail can be sent yet: whoever runs this installation has to set "
                "SWITCHBOARD_EMAIL_URL."
            )
        return field

    def form_context(
        self, request: HttpRequest, step: Step, action: Action | None
    ) -> dict[str, Any]:
        uid = action.uid if action else self._new_uid(request) or uuid.uuid4()
        logged = action is not None and Call.objects.filter(action_uid=uid).exists()
        if not may_change(request):
            return {"has_logs": logged and views.may_read(request)}
        found = mapping.of(uid)
        return {
            "events": newest_events(step.connector_id),
            "test_url": _test_url(step, action),
            "new_uid": "" if action else signing.dumps(str(uid), salt=_NEW),
            "mapping": found,
            "mapped": views.mapped_paths(found),
            "key": action.key if action else "",
            "saved": action is not None,
            "has_logs": logged,
            "mailed_at": alerts.last_mail(uid),
        }

    # --- an action has its uid from its first test on, not only when it is saved ---

    def _new_uid(self, request: HttpRequest) -> uuid.UUID | None:
        """The uid that this form was given; None when it has none, or is sent a second time."""
        try:
            uid = uuid.UUID(signing.loads(request.POST.get("new_uid", ""), salt=_NEW))
        except (signing.BadSignature, ValueError):
            return None
        return None if Action.objects.filter(uid=uid).exists() else uid

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.uid = self._new_uid(request) or obj.uid
        form.answered(obj)
        form.keep(request, obj)
        super().save_model(request, obj, form, change)

    def unsaved(self, request: HttpRequest, pk: int | None) -> tuple[Any, Step, Any]:
        """The form as it was sent, the step, and the action that it describes, not saved."""
        action = views.find(pk) if pk is not None else None
        step = action.step if action else self._step(request)
        made = self.get_form(request, action, change=action is not None)
        form = made(request.POST, instance=action)
        if not form.is_valid():
            return form, step, None
        described = form.save(commit=False)
        form.answered(described)
        if action is None:
            described.step, described.uid = step, self._new_uid(request) or described.uid
        return form, step, described

    def samples(self, step: Step, pk: int | None) -> dict[str, Any]:
        before = Action.objects.filter(pk=pk).first() if pk is not None else None
        return {"http": http_samples(step, before)}

    def get_urls(self) -> list[Any]:
        def page(view: Any, **more: Any) -> Any:
            return self.admin_site.admin_view(
                lambda request, **named: view(request, **named, **more)
            )

        return [
            path("test/", page(views.test, form=self), name="actions_httpapi_test_new"),
            path("<int:pk>/test/", page(views.test, form=self), name="actions_httpapi_test"),
            path("<int:pk>/logs/", page(views.logs), name="actions_httpapi_logs"),
            path("<int:pk>/logs/<uuid:call>/", page(views.log), name="actions_httpapi_log"),
            path("<int:pk>/remap/", page(views.remap), name="actions_httpapi_remap"),
            path("<int:pk>/reset-mail/", page(views.reset_mail), name="actions_httpapi_reset_mail"),
            *super().get_urls(),
        ]


def _test_url(step: Step, action: Action | None) -> str:
    if action is not None:
        return reverse("admin:actions_httpapi_test", args=[action.pk])
    return f"{reverse('admin:actions_httpapi_test_new')}?step={step.pk}"
