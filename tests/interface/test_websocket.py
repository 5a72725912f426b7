"""Every row of contract 2.8, and the rest of one socket's life."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djchan.interface.websocket import (
    Accept,
    Close,
    Complain,
    Deny,
    SendBytes,
    SendText,
    State,
    WebSocket,
)
from djchan.layers import codec
from tests.interface.fakes import websocket_scope


def connecting(**scope):
    return WebSocket(websocket_scope(**scope))


def opened(**scope):
    socket = connecting(**scope)
    socket.reply({"accept": True})
    assert socket.state is State.OPEN
    return socket


# ------------------------------------------------------------------- replies: 2.8


@pytest.mark.parametrize(
    ("message", "actions", "state"),
    [
        ({"accept": True}, [Accept(None)], State.OPEN),
        ({"accept": False}, [Deny()], State.CLOSING),
        ({"accept": False, "text": "x"}, [Deny()], State.CLOSING),
        ({"text": "x"}, [Accept(None), SendText("x")], State.OPEN),
        ({"bytes": b"x"}, [Accept(None), SendBytes(b"x")], State.OPEN),
        ({"accept": True, "text": "x"}, [Accept(None), SendText("x")], State.OPEN),
        ({"close": True}, [Deny()], State.CLOSING),
        ({"close": 4003}, [Deny()], State.CLOSING),
        ({"close": 1001}, [Deny()], State.CLOSING),
        ({"text": "x", "close": True}, [Accept(None), SendText("x"), Close(1000)], State.CLOSING),
        ({"bytes": b"x", "close": 4001}, [Accept(None), SendBytes(b"x"), Close(4001)], None),
        ({"accept": True, "close": 4003}, [Accept(None), Close(4003)], State.CLOSING),
        ({"text": ""}, [], State.CONNECTING),
        ({"bytes": b""}, [], State.CONNECTING),
        ({}, [], State.CONNECTING),
        ({"accept": None, "text": None, "bytes": None, "close": None}, [], State.CONNECTING),
        ({"accept": True, "text": ""}, [Accept(None)], State.OPEN),
        ({"close": False}, [], State.CONNECTING),
    ],
)
def test_a_reply_during_the_handshake(message, actions, state):
    socket = connecting()
    assert socket.reply(message) == actions
    assert state is None or socket.state is state


@pytest.mark.parametrize(
    ("message", "actions", "state"),
    [
        ({"text": "x"}, [SendText("x")], State.OPEN),
        ({"bytes": b"x"}, [SendBytes(b"x")], State.OPEN),
        ({"text": "x", "bytes": None}, [SendText("x")], State.OPEN),
        ({"text": None, "bytes": b"x"}, [SendBytes(b"x")], State.OPEN),
        ({"text": ""}, [SendText("")], State.OPEN),  # 1.x sent nothing: mended.
        ({"bytes": b""}, [SendBytes(b"")], State.OPEN),
        ({"text": "", "bytes": b"x"}, [SendBytes(b"x")], State.OPEN),
        ({"text": "x", "bytes": b""}, [SendText("x")], State.OPEN),
        ({"text": "", "bytes": b""}, [SendText("")], State.OPEN),
        ({"accept": True}, [], State.OPEN),
        ({"accept": False}, [], State.OPEN),
        ({"accept": False, "text": "x"}, [SendText("x")], State.OPEN),
        ({}, [], State.OPEN),
        ({"close": True}, [Close(1000)], State.CLOSING),
        ({"close": 1000}, [Close(1000)], State.CLOSING),
        ({"close": 3000}, [Close(3000)], State.CLOSING),
        ({"close": 4999}, [Close(4999)], State.CLOSING),
        ({"close": False}, [], State.OPEN),
        ({"text": "x", "close": 4001}, [SendText("x"), Close(4001)], State.CLOSING),
    ],
)
def test_a_reply_while_open(message, actions, state):
    socket = opened()
    assert socket.reply(message) == actions
    assert socket.state is state


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 2999, 5000, -1, "4000", 4000.5])
def test_other_close_codes_complain_and_leave_the_socket_open(code):
    socket = opened()
    (complaint,) = socket.reply({"close": code})
    assert isinstance(complaint, Complain)
    assert repr(code) in complaint.reason
    assert socket.state is State.OPEN


def test_a_wrong_code_does_not_keep_the_rest_of_the_message_back():
    socket = connecting()
    accept, text, complaint = socket.reply({"text": "x", "close": 1001})
    assert (accept, text) == (Accept(None), SendText("x"))
    assert isinstance(complaint, Complain)
    assert socket.state is State.OPEN


@pytest.mark.parametrize("make", [connecting, opened])
@pytest.mark.parametrize(
    "message",
    [
        {"text": "x", "bytes": b"y"},
        {"text": "x", "bytes": b"y", "close": True},
        {"accept": True, "message": "x"},
        {"status": 200, "content": b""},
        {"text": b"x"},
        {"bytes": "x"},
        {"text": 5},
    ],
)
def test_a_message_that_is_not_well_formed_does_nothing_but_complain(make, message):
    socket = make()
    state = socket.state
    (complaint,) = socket.reply(message)
    assert isinstance(complaint, Complain)
    assert socket.state is state


def test_an_unknown_key_is_named():
    (complaint,) = opened().reply({"text": "x", "txet": "y"})
    assert "'txet'" in complaint.reason


@pytest.mark.parametrize("message", [{"text": "x"}, {"close": True}, {"nonsense": 1}])
def test_nothing_is_said_to_a_socket_that_was_closed_or_is_gone(message):
    socket = opened()
    socket.reply({"close": True})
    assert socket.reply(message) == []
    socket.disconnect(1000)
    assert socket.reply(message) == []


# -------------------------------------------------------------------- subprotocols


def test_the_first_offered_protocol_that_is_served_is_taken():
    scope = websocket_scope(subprotocols=["a", "b", "c"])
    assert WebSocket(scope, protocols=["c", "b"]).reply({"accept": True}) == [Accept("b")]
    assert WebSocket(scope, protocols=["d"]).reply({"accept": True}) == [Accept(None)]
    assert WebSocket(scope, protocols=["a"]).reply({"text": "x"})[0] == Accept("a")


def test_the_consumer_may_choose_among_what_was_offered():
    scope = websocket_scope(subprotocols=["a", "b"])
    socket = WebSocket(scope, protocols=["a"])
    assert socket.reply({"accept": True, "subprotocol": "b"}) == [Accept("b")]
    socket = WebSocket(scope, protocols=["a"])
    complaint, accept = socket.reply({"accept": True, "subprotocol": "z"})
    assert isinstance(complaint, Complain) and "'z'" in complaint.reason
    assert accept == Accept(None)


# ---------------------------------------------------------------------- the client


def test_the_messages_of_one_socket():
    socket = connecting()
    common = socket.common("websocket.send.p!c")
    assert common == {"reply_channel": "websocket.send.p!c", "path": "/chat/"}
    assert socket.connect() == {
        "query_string": b"a=1",
        "headers": [[b"host", b"example.com"], [b"cookie", b"a=b"]],
        "client": ["10.0.0.1", 4711],
        "server": ["10.0.0.2", 80],
        "scheme": "ws",
        "root_path": "",
        "order": 0,
    }
    socket.reply({"accept": True})
    assert socket.receive({"text": "a", "bytes": None}) == {"order": 1, "text": "a"}
    assert socket.receive({"bytes": b"b"}) == {"order": 2, "bytes": b"b"}
    assert socket.receive({"text": ""}) == {"order": 3, "text": ""}
    assert socket.disconnect(1001) == {"order": 4, "code": 1001}
    assert socket.disconnect(1001) is None
    assert socket.state is State.CLOSED


def test_the_scheme_of_the_scope_goes_before_the_servers():
    assert connecting(scheme="wss").connect(scheme="ws")["scheme"] == "wss"
    assert connecting().connect(scheme="wss")["scheme"] == "wss"


def test_frames_after_our_close_are_not_read():
    socket = opened()
    socket.reply({"close": True})
    assert socket.receive({"text": "a"}) is None


def test_a_lost_frame_leaves_no_gap_in_the_order():
    socket = opened()
    socket.receive({"text": "a"})
    socket.receive({"text": "b"})
    socket.unsay(1)
    assert socket.disconnect(1013) == {"order": 2, "code": 1013}


def test_a_denied_socket_ends_abnormally_as_number_one():
    socket = connecting()
    socket.reply({"accept": False})
    assert socket.disconnect(1005) == {"order": 1, "code": 1006}


# -------------------------------------------------------------------- the interface


def test_timeout_denies_a_handshake_only():
    assert connecting().timeout() == [Deny()]
    assert opened().timeout() == []


def test_end_closes_or_refuses():
    assert opened().end(1013) == [Close(1013)]
    assert connecting().end(1013) == [Deny(403)]
    assert connecting().end(1013, status=503) == [Deny(503)]
    socket = opened()
    socket.end(1013)
    assert socket.end(1011) == []


@pytest.mark.parametrize("channel", ["websocket.connect", "websocket.receive"])
def test_poison(channel):
    for status in (codec.POISON, codec.STUCK):
        assert opened().status(channel, status) == [Close(1011)]
        assert connecting().status(channel, status) == [Deny()]


@pytest.mark.parametrize("status", [codec.EXPIRED, codec.LOST, codec.FAILED])
def test_a_connect_that_was_not_run_or_failed_is_denied(status):
    assert connecting().status("websocket.connect", status) == [Deny()]
    assert opened().status("websocket.receive", status) == []
    assert opened().status("websocket.connect", status) == []


@pytest.mark.parametrize("status", [codec.DONE, codec.UNROUTED])
def test_other_ends_only_release(status):
    assert connecting().status("websocket.connect", status) == []
    assert opened().status("websocket.receive", status) == []


VALUES = st.sampled_from([None, True, False, 0, 1, 1000, 1001, 4000, 5000, "", "x", b"", b"x"])


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["accept", "text", "bytes", "close", "subprotocol", "other"]), VALUES
        ),
        max_size=6,
    )
)
def test_whatever_consumers_say_the_client_sees_a_legal_sequence(messages):
    socket = connecting()
    said = [action for message in messages for action in socket.reply(message)]
    said = [action for action in said if not isinstance(action, Complain)]
    accepted = [isinstance(action, Accept) for action in said]
    assert sum(accepted) <= 1
    if said:
        assert isinstance(said[0], Accept | Deny)
    ends = [i for i, action in enumerate(said) if isinstance(action, Close | Deny)]
    assert ends in ([], [len(said) - 1])
    for action in said:
        if isinstance(action, Close):
            assert action.code == 1000 or 3000 <= action.code <= 4999


def test_the_disconnect_for_a_process_that_died_comes_after_every_frame():
    rest = WebSocket.abandoned()
    assert rest == {"order": 2_147_483_647, "code": 1006}
    socket = opened()
    socket.receive({"text": "a"})
    assert rest["order"] > socket.order
    assert rest.keys() == socket.disconnect(1000).keys()


def test_below_a_prefix_every_message_has_the_root_path():
    scope = {"type": "websocket", "path": "/mnt/x/", "root_path": "/mnt"}
    keys = WebSocket(scope).common("websocket.send.P!1")
    assert keys == {"reply_channel": "websocket.send.P!1", "path": "/mnt/x/", "root_path": "/mnt"}
    assert "root_path" not in WebSocket({**scope, "root_path": ""}).common("websocket.send.P!1")


@pytest.mark.parametrize("name", ["a\r\nX: y", "a b", "", "ü", 'a"b', "a\x00"])
def test_an_offered_subprotocol_that_is_no_name_cannot_be_taken(name):
    socket = WebSocket({"path": "/", "subprotocols": [name, "chat"]}, protocols=[name])
    complaint, accept = socket.reply({"accept": True, "subprotocol": name})
    assert isinstance(complaint, Complain) and accept == Accept(None)
    socket = WebSocket({"path": "/", "subprotocols": [name, "chat"]}, protocols=[name, "chat"])
    assert socket.reply({"accept": True}) == [Accept("chat")]
