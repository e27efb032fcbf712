from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "apps.messaging"
    verbose_name = "Messaging"

    def ready(self) -> None:
        from apps.messaging import erasing  # noqa: F401 (registers itself)
