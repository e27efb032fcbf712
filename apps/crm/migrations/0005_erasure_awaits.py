import apps.core.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0004_people'),
    ]

    operations = [
        migrations.AddField(
            model_name='erasure',
            name='awaits',
            field=apps.core.fields.JsonText(editable=False, null=True),
        ),
    ]
