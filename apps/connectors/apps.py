from django.apps import AppConfig


class ConnectorsConfig(AppConfig):
    name = "apps.connectors"
    verbose_name = "Connectors"

    def ready(self) -> None:
        from apps.connectors import publish  # noqa: F401  it listens to saved credentials
