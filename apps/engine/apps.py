from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "apps.engine"
    verbose_name = "Engine"

    def ready(self) -> None:
        from apps.crm import news
        from apps.engine import crm_changes, erasing, joining  # noqa: F401 (two register themselves)

        news.listen(crm_changes)
