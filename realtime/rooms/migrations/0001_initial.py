# ruff: noqa: RUF012 (the lists are how Django writes a migration)

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Seat",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reply_channel", models.CharField(max_length=100, unique=True)),
                ("room", models.CharField(db_index=True, max_length=60)),
                ("name", models.CharField(max_length=40)),
                ("since", models.DateTimeField(auto_now_add=True)),
                ("left", models.DateTimeField(db_index=True, null=True)),
            ],
        ),
    ]
