import apps.core.clock
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connectors", "0008_revision_summaries"),
        ("engine", "0010_queues"),
    ]

    operations = [
        migrations.AlterField(
            model_name="dedupekey",
            name="connector",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="connectors.connector",
            ),
        ),
        migrations.CreateModel(
            name="Ending",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("cause", models.CharField(blank=True, editable=False, max_length=16)),
                ("cause_id", models.BigIntegerField(blank=True, editable=False, null=True)),
                ("wake_at", models.DateTimeField(editable=False)),
                ("lease_owner", models.CharField(blank=True, editable=False, max_length=120)),
                ("lease_epoch", models.IntegerField(default=0, editable=False)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Not started"),
                            ("waiting", "Waiting"),
                            ("working", "Working"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="waiting",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("done", models.BigIntegerField(default=0, editable=False)),
                ("total", models.BigIntegerField(editable=False, null=True)),
                ("note", models.CharField(blank=True, editable=False, max_length=500)),
                ("tries", models.IntegerField(default=0, editable=False)),
                ("cancel_asked", models.BooleanField(default=False, editable=False)),
                ("created_at", models.DateTimeField(default=apps.core.clock.now, editable=False)),
                ("ended_at", models.DateTimeField(editable=False, null=True)),
                ("connector_id", models.BigIntegerField(editable=False)),
                ("connector_name", models.CharField(editable=False, max_length=200)),
                (
                    "which",
                    models.CharField(
                        choices=[
                            ("open", "All that have not ended"),
                            ("waiting", "Those that waited"),
                        ],
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(editable=False, max_length=300)),
                ("held_ended", models.BooleanField(default=False, editable=False)),
            ],
            options={
                "verbose_name": "cancellation",
                "abstract": False,
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["wake_at"],
                        name="engine_ending_due",
                    )
                ],
            },
        ),
    ]
