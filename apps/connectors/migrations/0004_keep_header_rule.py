from django.db import migrations


def keep_the_header_rule(apps, schema_editor):
    """Until now, a named header was the rule."""
    connectors = apps.get_model("connectors", "Connector").objects.exclude(dedupe_header="")
    connectors.update(dedupe_by="header")


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0003_webhook'),
    ]

    operations = [
        migrations.RunPython(keep_the_header_rule, migrations.RunPython.noop),
    ]
