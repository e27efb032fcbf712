from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("engine", "0013_woken")]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                fields=["attempts", "id"],
                name="engine_run_suspects",
                condition=Q(state="due", attempts__gt=0),
            ),
        ),
        migrations.RemoveIndex(model_name="run", name="engine_run_suspect"),
    ]
