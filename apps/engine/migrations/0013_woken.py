
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0008_revision_summaries'),
        ('crm', '0005_erasure_awaits'),
        ('engine', '0012_attempt_left'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('state', 'due'), models.Q(('queue', ''), _negated=True)), fields=['queue'], name='engine_run_woken'),
        ),
    ]
