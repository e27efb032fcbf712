"""Credentials: their secret is typed in once and never shown again."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import TextField
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminPasswordWidget

from apps.core.models import Credential
from apps.core.pages import RefusesUsed
from apps.core.vault import VaultError, seal


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    secret = forms.CharField(
        max_length=10_000,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="The key, the password or the signing secret. It is encrypted and never shown.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "secret" not in self.fields:
            return
        self.fields["secret"].required = not self.instance.pk
        self.fields["secret"].error_messages["required"] = "Type in the secret."
        if self.instance.pk:
            when = date_format(localtime(self.instance.secret_set_at), "DATETIME_FORMAT")
            self.fields["secret"].help_text = f"Set on {when}. Leave it empty to keep it."

    def clean_secret(self) -> str:
        secret = str(self.cleaned_data["secret"])
        if secret:
            try:
                seal(secret)
            except VaultError as error:
                raise forms.ValidationError(str(error)) from None
        return secret

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("kind") == Credential.Kind.BASIC and not cleaned.get("username"):
            self.add_error("username", "Type in the user name.")
        if ":" in (cleaned.get("username") or ""):
            self.add_error("username", "A user name has no colon.")
        return cleaned


@admin.register(Credential)
class CredentialAdmin(RefusesUsed, ModelAdmin):  # type: ignore[misc]
    form = CredentialForm
    list_display = ["name", "kind", "secret_set_at"]
    search_fields = ["name"]
    formfield_overrides = {TextField: {"widget": UnfoldAdminExpandableTextareaWidget}}
    conditional_fields = {"username": "kind == 'basic'"}

    def get_fields(self, request: HttpRequest, obj: Credential | None = None) -> list[str]:
        """Who may only view it sees when its secret was set."""
        if obj is None or self.has_change_permission(request, obj):
            return ["name", "kind", "username", "secret", "hosts"]
        return ["name", "kind", "username", "secret_set_at", "hosts"]

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> list[str]:
        may = obj is None or self.has_change_permission(request, obj)
        return [] if may else ["secret_set_at"]

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: bool) -> None:
        if form.cleaned_data["secret"]:
            obj.set_secret(form.cleaned_data["secret"])
        obj.save()
