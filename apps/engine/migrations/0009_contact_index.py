import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connectors", "0008_revision_summaries"),
        ("crm", "0004_people"),
        ("engine", "0008_crm_changes"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("contact__isnull", False)),
                fields=["contact", "-id"],
                name="engine_run_contact",
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="contact",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.contact",
            ),
        ),
    ]
