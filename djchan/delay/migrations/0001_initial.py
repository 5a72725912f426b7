"""The table of delayed messages.

From ``migrate``; on to the database. A project of Channels 1.x that wants its rows kept renames
``channels.delay_delayedmessage`` to this table and runs it with ``--fake``.
"""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations: ClassVar = [
        migrations.CreateModel(
            name="DelayedMessage",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("due_date", models.DateTimeField(db_index=True)),
                ("channel_name", models.CharField(max_length=512)),
                ("content", models.TextField()),
            ],
            options={"db_table": "djchan_delay_delayedmessage"},
        ),
    ]
