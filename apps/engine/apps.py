from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "apps.engine"
    verbose_name = "Engine"

    def ready(self) -> None:
        from apps.crm import news
        from apps.engine import crm_changes, erasing  # noqa: F401 (the latter registers itself)

        news.listen(crm_changes)
