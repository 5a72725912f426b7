"""Pictures of the pages for the documentation: small, one for each look."""

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from realtime import systems
from realtime.management.commands import screenshots

pytestmark = [pytest.mark.full, pytest.mark.timeout(90)]


def test_every_page_is_shown():
    names = [name for name, _ in screenshots.pages("http://site")]
    assert names == ["home", *systems.NAMES, "source"]


def test_pictures_are_small_and_of_what_was_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(screenshots, "LOOKS", screenshots.LOOKS[1:])
    monkeypatch.setattr(screenshots, "pages", lambda at: [("echo", f"{at}/echo/")])
    call_command("screenshots", tmp_path / "new")
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == [
        "echo-dark.webp",
        "echo-phone.webp",
    ]
    assert capsys.readouterr().out.startswith("2 pictures in ")
    with Image.open(tmp_path / "new" / "echo-dark.webp") as dark:
        assert (dark.format, max(dark.size)) == ("WEBP", screenshots.LONGEST)
        assert dark.convert("L").getpixel((2, 2)) < 40
    with Image.open(tmp_path / "new" / "echo-phone.webp") as phone:
        assert phone.width == 360
        assert phone.convert("L").getpixel((2, 2)) > 215


def test_without_chromium_it_says_so(monkeypatch):
    monkeypatch.setattr(screenshots, "CHROMIUM", ("no-such-browser",))
    with pytest.raises(CommandError, match="no-such-browser"), screenshots.chromium():
        pass
