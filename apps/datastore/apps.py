from django.apps import AppConfig


class DatastoreConfig(AppConfig):
    name = "apps.datastore"
    verbose_name = "Data"
