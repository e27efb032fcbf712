from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0002_lists")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="tries",
            field=models.IntegerField(db_default=0, default=0, editable=False),
        ),
    ]
