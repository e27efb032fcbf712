from django.db import migrations, models
from django.db.models.functions import Lower, Trim

CHOICES = [("application/json", "JSON"), ("text/plain", "Plain text"), ("application/xml", "XML")]


def choose(apps, schema_editor):
    """What was written freely becomes one of three; HTML and the like become plain text."""
    connectors = apps.get_model("connectors", "Connector").objects.annotate(
        named=Trim(Lower("response_type"))
    )
    xml = connectors.filter(named__regex=r"^(application|text)/xml *(;|$)")
    json = connectors.filter(named__regex=r"^[^;]*[/+]json *(;|$)")
    known = [*xml.values_list("pk", flat=True), *json.values_list("pk", flat=True)]
    connectors.exclude(pk__in=known).update(response_type="text/plain")
    xml.update(response_type="application/xml")
    json.update(response_type="application/json")


class Migration(migrations.Migration):
    dependencies = [("connectors", "0008_revision_summaries")]

    operations = [
        migrations.RunPython(choose, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            model_name="connector",
            name="response_type",
            field=models.CharField(
                choices=CHOICES,
                default="application/json",
                max_length=100,
                verbose_name="response content type",
            ),
        ),
    ]
