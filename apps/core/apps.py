from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"
    label = "core"
    verbose_name = "System"

    def ready(self) -> None:
        from django.core.signals import got_request_exception
        from django.db.backends.signals import connection_created

        from apps.core import database_time, patience, trouble

        connection_created.connect(database_time.connected)
        connection_created.connect(patience.connected)
        got_request_exception.connect(trouble.page_broke)
