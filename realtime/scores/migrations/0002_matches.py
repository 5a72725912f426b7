"""Three matches to write and to watch."""

from typing import Any

from django.db import migrations

MATCHES = (
    ("harbor-hills", "Harbor United", "Hill Rangers"),
    ("river-rail", "River Town", "Railway Athletic"),
    ("castle-canal", "Castle City", "Canal Rovers"),
)


def make(apps: Any, schema_editor: Any) -> None:
    match = apps.get_model("scores", "Match")
    for slug, home, away in MATCHES:
        match.objects.get_or_create(slug=slug, defaults={"home": home, "away": away})


class Migration(migrations.Migration):
    dependencies = (("scores", "0001_initial"),)
    operations = (migrations.RunPython(make, migrations.RunPython.noop),)
