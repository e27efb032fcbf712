"""A password that set-up made or was given is to be changed at the first sign-in: it has stood in a
file, and somebody else may have read it."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.signals import user_logged_in
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

_FLAG = "first_password"
_SAME = "That is the first password. Choose another one."
_TEXT = "Please choose a password of your own: the first one has stood in a file."


class FirstPassword(models.Model):
    """Whose password is to be changed, as long as it is still this one (its hash)."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    password = models.CharField(max_length=128)


def must_be_changed(user: Any) -> bool:
    return FirstPassword.objects.filter(user=user.pk, password=user.password).exists()


def _signed_in(request: HttpRequest, user: Any, **kwargs: Any) -> None:
    if must_be_changed(user):
        request.session[_FLAG] = True


user_logged_in.connect(_signed_in, dispatch_uid=__name__)


class ChangesFirstPassword:
    """Middleware: whoever came in with a first password gets no other page before it is changed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _FLAG in request.session:
            change = reverse("admin:password_change")
            if not request.user.is_authenticated or not must_be_changed(request.user):
                del request.session[_FLAG]
            elif request.path not in (change, reverse("admin:logout")):
                messages.warning(request, _TEXT)
                return HttpResponseRedirect(change)
            elif request.user.check_password(request.POST.get("new_password1", "")):
                messages.error(request, _SAME)
                return HttpResponseRedirect(change)
        return self.get_response(request)
