"""What the form of the HTTP API asks besides its columns: whether a credential may go to a host for
the first time, and whether what looks like a secret is one."""

from typing import Any

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.http import HttpRequest
from unfold.widgets import UnfoldBooleanSwitchWidget

from apps.actions.http.checks import host_of
from apps.actions.kinds.http_api import HttpApi
from apps.core.http.places import Place
from apps.core.models import Credential

NOT_YOURS = "It decides where the credential stands, and you may not use credentials."


class HttpApiForm(forms.ModelForm):  # type: ignore[type-arg]
    may_go = forms.BooleanField(
        required=False,
        label="Let the credential go to the host of the URL",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Asked once for each host: it is kept at the credential when this is saved.",
    )
    no_secret = forms.BooleanField(
        required=False, label="It is no secret", widget=UnfoldBooleanSwitchWidget
    )

    # Whether this person may use credentials; set by the page.
    may_use_credentials = True
    # Set by `clean`: where the credential is to be let go.
    place: Place | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        exposed = self.instance.exposed() if self.instance.pk else []
        # What the page asks about; what is typed in with the answer is asked about next time.
        self._asked = {one.fingerprint for one in exposed}
        if "no_secret" in self.fields and exposed:
            found = " ".join(one.finding for one in exposed)
            self.fields["no_secret"].help_text = (
                f"{found} Logs and exports mask that, and the flow can't be published. Make a "
                "credential of it, or tick this if everybody may read it."
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.may_use_credentials and cleaned.get("credential"):
            self._refuse_other_use(cleaned)
        credential, there = cleaned.get("credential"), host_of(cleaned.get("url") or "")
        if credential is None or "may_go" not in self.fields:
            return cleaned
        if there is None:
            if cleaned["may_go"]:
                self.add_error("may_go", "Attributes decide the host: list it at the credential.")
        elif not any(place.covers(there) for place in credential.places()):
            if cleaned["may_go"]:
                self.place = there
            else:
                asked = f'The credential "{credential}" may not go to {there} yet.'
                self.add_error("may_go", f"{asked} Tick this to let it.")
        return cleaned

    def _refuse_other_use(self, cleaned: dict[str, Any]) -> None:
        """A credential that somebody else has chosen is sent as was chosen with it: in a message,
        whoever reads messages at its own host would see it."""
        kept = HttpApi.objects.get(pk=self.instance.pk)
        for name in ("credential_as", "credential_name"):
            if cleaned.get(name, "") != getattr(kept, name):
                self.add_error(name, NOT_YOURS)
        for name in ("method", "url", "headers", "body_type", "fields", "body"):
            before, now = getattr(kept, name), cleaned.get(name)
            if kept.is_inline and before != now:
                self.add_error(name, NOT_YOURS)

    def answered(self, action: HttpApi) -> None:
        """Put what was answered into the action and its credential, neither of them saved: a test
        lets it go there for this once."""
        found = {one.fingerprint for one in action.exposed()}
        if self.cleaned_data.get("no_secret"):
            action.no_secrets = sorted({*action.no_secrets, *(found & self._asked)})
        if self.place is not None and action.credential is not None:
            action.credential.allow(self.place)

    def keep(self, request: HttpRequest, action: HttpApi) -> None:
        """The action is saved: from now on its credential may go there."""
        if self.place is not None and action.credential_id is not None:
            let_go(request, action.credential_id, self.place)


@transaction.atomic
def let_go(request: HttpRequest, pk: int, place: Place) -> None:
    credential = Credential.objects.select_for_update().get(pk=pk)
    credential.allow(place)
    credential.save(update_fields=["hosts"])
    LogEntry.objects.log_actions(
        request.user.pk, [credential], CHANGE, f"May go to {place} now.", single_object=True
    )
