import pytest

from djchan.exceptions import InvalidChannelLayer
from djchan.interface.options import InterfaceOptions


def test_defaults():
    options = InterfaceOptions()
    assert options.http_timeout == 120.0
    assert options.connect_timeout == 4.0
    assert (options.mailbox_frames, options.mailbox_bytes) == (256, 1024 * 1024)
    assert options.delivery_frames == 64


def test_a_dict_of_settings():
    options = InterfaceOptions.parse(
        {"http_timeout": None, "http_idle_timeout": None, "websocket_protocols": ["a", "b"]}
    )
    assert options.http_timeout is None and options.http_idle_timeout is None
    assert options.websocket_protocols == ("a", "b")


def test_an_unknown_key_is_named_with_those_that_exist():
    with pytest.raises(
        InvalidChannelLayer, match=r"'http_timout'.*http_timeout, http_idle_timeout"
    ):
        InterfaceOptions.parse({"http_timout": 3})


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("mailbox_frames", 0, "a whole number above 0, not 0"),
        ("mailbox_frames", 1.5, "a whole number above 0, not 1.5"),
        ("mailbox_bytes", True, "a whole number above 0, not True"),
        ("http_timeout", -1, "a number of seconds above 0, not -1"),
        ("full_wait", None, "a number of seconds above 0, not None"),
        ("broker_grace", "3", "a number of seconds above 0, not '3'"),
        ("http_disconnect", 1, "True or False, not 1"),
        ("websocket_protocols", "chat", "a list of subprotocol names, not 'chat'"),
        ("websocket_protocols", [""], "a list of subprotocol names"),
    ],
)
def test_wrong_values_are_refused_in_words(name, value, rule):
    with pytest.raises(InvalidChannelLayer) as caught:
        InterfaceOptions.parse({name: value})
    assert name in str(caught.value) and rule in str(caught.value)


def test_it_cannot_be_changed_later():
    with pytest.raises(AttributeError):
        InterfaceOptions().full_wait = 3
