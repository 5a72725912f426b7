# ruff: noqa: RUF012 (the lists are how Django writes a migration)

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="seat",
            name="seen",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="seat",
            name="signed_in",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="Line",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("room", models.CharField(max_length=60)),
                ("name", models.CharField(max_length=40)),
                ("signed_in", models.BooleanField(default=False)),
                ("text", models.TextField()),
                ("said", models.DateTimeField(auto_now_add=True)),
                ("message_id", models.CharField(max_length=200, unique=True)),
            ],
            options={
                "indexes": [models.Index(fields=["room", "id"], name="lines_of_a_room")],
            },
        ),
    ]
