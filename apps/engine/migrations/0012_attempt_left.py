from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0005_erasure_awaits'),
        ('engine', '0011_ending'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(condition=models.Q(('contact__isnull', False), ('kind__in', ('field_mapping', 'map_contact'))), fields=['contact'], name='engine_attempt_left'),
        ),
    ]
