from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

handler400 = "apps.core.errors.bad_request"
handler500 = "apps.core.errors.server_error"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index", permanent=False)),
    path("", include("apps.engine.urls")),
    path("admin/", admin.site.urls),
]
