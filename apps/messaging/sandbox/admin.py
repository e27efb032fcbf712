"""The phone stands among the admin's own pages: it belongs to no single row, so it is no
ModelAdmin but one more URL of the site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from apps.messaging.sandbox.views import phone

_own_urls = admin.site.get_urls


def _with_phone() -> list[URLPattern | URLResolver]:
    page = path("sandbox/phone/", admin.site.admin_view(phone), name="sandbox_phone")
    return [page, *_own_urls()]


admin.site.get_urls = _with_phone  # type: ignore[method-assign]
