"""The tree of exceptions: what the module's text draws is what the classes are."""

import inspect
import re
from types import SimpleNamespace
from typing import Any

import pytest

from djchan import exceptions

CLASSES = {
    name: value
    for name, value in vars(exceptions).items()
    if inspect.isclass(value) and issubclass(value, Exception)
}
OURS = [value for value in CLASSES.values() if issubclass(value, exceptions.DjchanError)]


def drawn() -> dict[str, tuple[str, str | None]]:
    """Name -> (parent in the drawing, the further base in brackets) of the docstring's tree."""
    found: dict[str, tuple[str, str | None]] = {}
    branch: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z].*)$", line)
        if match is None or not re.match(r"[A-Za-z]+", match[2]):
            continue
        depth = len(match[1]) // 4
        for item in match[2].split("  ")[0].split(", "):
            name, _, bracket = item.partition(" ")
            branch[depth:] = [name]
            if depth:
                found[name] = branch[depth - 1], bracket.strip("()") or None
    return found


def test_the_docstring_draws_every_class():
    assert set(drawn()) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_docstring_draws_its_base(name: str):
    parent, further = drawn()[name]

    bases = [base.__name__ for base in CLASSES[name].__bases__]

    assert bases == [parent, *([further] if further else [])]


@pytest.mark.parametrize("error", OURS, ids=lambda error: error.__name__)
def test_the_default_message_begins_the_docstring(error: type[exceptions.DjchanError]):
    assert str(error()) == error.__doc__.partition("\n\n")[0]
    assert str(error("The disk is full.")) == "The disk is full."


@pytest.mark.parametrize("error", CLASSES.values(), ids=lambda error: error.__name__)
def test_every_class_has_a_text_of_its_own(error: type[Exception]):
    inherited = [base.__doc__ for base in error.__mro__[1:]]

    assert error.__doc__
    assert error.__doc__ not in inherited


def test_a_wrong_name_or_message_is_a_type_error_as_in_channels_1():
    for error in (
        exceptions.InvalidChannelName,
        exceptions.InvalidGroupName,
        exceptions.InvalidMessage,
    ):
        assert issubclass(error, TypeError)
    assert issubclass(exceptions.InvalidChannelLayer, ValueError)


class TestWebsocketCloseException:
    class Reply:
        def __init__(self) -> None:
            self.sent: list[Any] = []

        def send(self, content: Any) -> None:
            self.sent.append(content)

    @pytest.mark.parametrize("code", [1000, 3000, 4003, 4999])
    def test_closes_with_its_code(self, code: int):
        reply = self.Reply()

        exceptions.WebsocketCloseException(code).run(SimpleNamespace(reply_channel=reply))

        assert reply.sent == [{"close": code}]

    def test_closes_without_a_code(self):
        reply = self.Reply()

        exceptions.WebsocketCloseException().run(SimpleNamespace(reply_channel=reply))

        assert reply.sent == [{"close": True}]

    @pytest.mark.parametrize("code", [0, 999, 1001, 1006, 1011, 2999, 5000, "4000", 4000.0, -1])
    def test_refuses_another_code_where_it_is_raised(self, code: Any):
        with pytest.raises(ValueError, match="1000 or from 3000 to 4999") as caught:
            exceptions.WebsocketCloseException(code)

        assert repr(code) in str(caught.value)

    def test_needs_a_reply_channel(self):
        message = SimpleNamespace(reply_channel=None, channel=SimpleNamespace(name="thumbnails"))

        with pytest.raises(ValueError, match="'thumbnails' has none"):
            exceptions.WebsocketCloseException(4000).run(message)

    def test_the_base_leaves_the_act_to_its_heirs(self):
        with pytest.raises(NotImplementedError):
            exceptions.ChannelSocketException().run(SimpleNamespace())
