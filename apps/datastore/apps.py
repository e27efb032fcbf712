from django.apps import AppConfig


class DatastoreConfig(AppConfig):
    name = "apps.datastore"
    verbose_name = "Data"

    def ready(self) -> None:
        from apps.datastore import people  # noqa: F401 (registers itself)
