from django.apps import AppConfig


class TransferConfig(AppConfig):
    name = "apps.crm.transfer"
    label = "transfer"
    verbose_name = "Import and export"
