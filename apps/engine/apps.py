from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "apps.engine"
    verbose_name = "Engine"

    def ready(self) -> None:
        from apps.engine import erasing  # noqa: F401 (registers itself)
