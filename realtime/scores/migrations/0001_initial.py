# ruff: noqa: RUF012 (the lists are how Django writes a migration)


from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Match",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slug", models.SlugField(unique=True)),
                ("home", models.CharField(max_length=40)),
                ("away", models.CharField(max_length=40)),
                ("home_goals", models.PositiveSmallIntegerField(default=0)),
                ("away_goals", models.PositiveSmallIntegerField(default=0)),
                ("minute", models.PositiveSmallIntegerField(default=0)),
                ("revision", models.PositiveIntegerField(default=0)),
            ],
            options={
                "ordering": ("pk",),
            },
        ),
    ]
