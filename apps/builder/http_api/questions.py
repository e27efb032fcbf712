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


class HttpApiForm(forms.ModelForm):  # type: ignore[type-arg]
    may_go = forms.BooleanField(
        required=False,
        label="Let the credential go to the host of the URL",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Asked once for each host. Where it may go is listed at the credential.",
    )
    no_secret = forms.BooleanField(
        required=False, label="It is no secret", widget=UnfoldBooleanSwitchWidget
    )

    # Set by `clean`: where the credential is to be let go.
    place: Place | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "no_secret" in self.fields and self.instance.pk:
            found = " ".join(one.finding for one in self.instance.exposed())
            self.fields["no_secret"].help_text = (
                f"{found} Logs and exports mask that, and the flow can't be published. Make a "
                "credential of it, or tick this if everybody may read it."
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
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

    def answered(self, request: HttpRequest, action: HttpApi) -> None:
        """Keep what was answered: at the credential at once, of the action in what is saved."""
        found = {one.fingerprint for one in action.exposed()}
        if self.cleaned_data.get("no_secret"):
            action.no_secrets = sorted({*action.no_secrets, *found})
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
