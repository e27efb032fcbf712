from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "apps.engine"
    verbose_name = "Engine"

    def ready(self) -> None:
        from django_q.signals import pre_execute

        from apps.core import database_time
        from apps.crm import news
        from apps.engine import crm_changes, erasing  # noqa: F401 (the latter registers itself)

        news.listen(crm_changes)
        pre_execute.connect(database_time.refresh)
