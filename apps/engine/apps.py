from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "apps.engine"
    verbose_name = "Engine"

    def ready(self) -> None:
        from django_q.signals import pre_execute

        from apps.core import database_time
        from apps.crm import news
        from apps.engine import crm_changes, erasing, joining  # noqa: F401 (two register themselves)

        news.listen(crm_changes)
        pre_execute.connect(database_time.refresh)
