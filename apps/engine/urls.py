from django.urls import re_path

from apps.engine.hooks import HookView

urlpatterns = [
    re_path(r"^hooks/(?P<token>[A-Za-z0-9_-]{8,64})/?\Z", HookView.as_view(), name="hook"),
    # What can't be a token is nobody's, said in the same words.
    re_path(r"^hooks/", HookView.as_view(), {"token": ""}),
]
