"""What a visitor is called."""

import pytest

from realtime.rooms import lines


class TestName:
    @pytest.mark.parametrize(
        ("query", "name"),
        [
            (b"", "anon"),
            (b"name=", "anon"),
            (b"name=%20%09", "anon"),
            (b"name=Ada&name=Bob", "Ada"),
            (b"name=%C3%85sa", "Åsa"),
            (b"name=a%0Ab%00c", "a b c"),
            (b"name=%E2%80%AEevil", "evil"),  # would turn the text that follows around
            (b"name=%ff", "\ufffd"),
            (b"name=" + b"x" * 10_000, "x" * 40),
        ],
    )
    def test_is_one_line_of_what_was_asked_for(self, query, name):
        assert lines.display_name(query) == name
