from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "apps.messaging.sandbox"
    label = "sandbox"
    verbose_name = "Sandbox phone"
