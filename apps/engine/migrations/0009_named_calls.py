"""A run waits for one named call. Runs that wait when this is applied get the name of their open
call; an open call that is nowhere to be found was lost."""

from typing import Any

from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def name_open_calls(apps: Any, schema_editor: Any) -> None:
    Run, Call = apps.get_model("engine", "Run"), apps.get_model("engine", "Call")
    open_calls = Call.objects.filter(run=OuterRef("pk"), state="sending").order_by("-at")
    Run.objects.filter(calling=True, state__in=["due", "leased", "waiting"]).update(
        call=Subquery(open_calls.values("pk")[:1])
    )


class Migration(migrations.Migration):
    dependencies = [("engine", "0008_crm_changes")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="call",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="troubles",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.RunPython(name_open_calls, migrations.RunPython.noop),
        migrations.RemoveField(model_name="run", name="calling"),
    ]
