"""The state machine of a socket view: every state and every call, and any order of them."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from djchan.exceptions import InvalidSocketValue, SocketDisconnected, SocketStateError
from djchan.sockets.state import SocketState, State


def connecting():
    return SocketState(["chat", "echo"])


def opened():
    machine = connecting()
    machine.accept(None)
    return machine


def closed():
    machine = opened()
    machine.close(4001)
    return machine


def refused():
    machine = connecting()
    machine.close(1000)
    return machine


def left():
    machine = opened()
    machine.left(1001)
    return machine


class TestCalls:
    def test_an_open_socket_sends_and_receives(self):
        machine = opened()
        machine.sending("send_text()")
        machine.receiving("receive()", waiting=False)
        assert machine.state is State.OPEN

    @pytest.mark.parametrize("call", ["sending", "receiving"])
    @pytest.mark.parametrize(
        ("make", "error", "words"),
        [
            (connecting, SocketStateError, r"send_text\(\).*await socket\.accept\(\) first"),
            (closed, SocketStateError, r"send_text\(\).*closed with 4001 by this view"),
            (refused, SocketStateError, r"send_text\(\).*was refused by this view"),
            (left, SocketDisconnected, r"send_text\(\): the client has left \(code 1001\)"),
        ],
    )
    def test_another_one_says_why_not(self, call, make, error, words):
        more = {"waiting": False} if call == "receiving" else {}
        with pytest.raises(error, match=words):
            getattr(make(), call)("send_text()", **more)

    def test_what_came_before_the_client_left_can_be_received(self):
        left().receiving("receive()", waiting=True)

    def test_of_a_socket_that_the_view_closed_nothing_can_be(self):
        with pytest.raises(SocketStateError):
            closed().receiving("receive()", waiting=True)

    def test_the_error_has_the_clients_code(self):
        with pytest.raises(SocketDisconnected) as caught:
            left().sending("send_text()")
        assert caught.value.code == 1001

    def test_and_the_reason_if_it_was_ours(self):
        machine = opened()
        machine.left(1012, "the server stops")
        with pytest.raises(SocketDisconnected, match=r"the server stops \(code 1012\)"):
            machine.sending("send_text()")

    def test_one_that_waited_while_the_view_closed_is_no_misuse(self):
        with pytest.raises(SocketDisconnected, match=r"closed the socket meanwhile \(code 4001\)"):
            closed().waited("receive()")
        for make in (connecting, opened, left):
            make().waited("receive()")


class TestAccept:
    @pytest.mark.parametrize("name", [None, "chat", "echo"])
    def test_takes_what_was_offered(self, name):
        machine = connecting()
        machine.accept(name)
        assert machine.state is State.OPEN

    @pytest.mark.parametrize("name", ["mqtt", "", "Chat"])
    def test_takes_nothing_else(self, name):
        machine = connecting()
        with pytest.raises(InvalidSocketValue, match="offered 'chat', 'echo'") as caught:
            machine.accept(name)
        assert repr(name) in str(caught.value)
        assert machine.state is State.CONNECTING, "it can be accepted yet"

    def test_without_an_offer(self):
        with pytest.raises(InvalidSocketValue, match="offered no subprotocol"):
            SocketState().accept("chat")

    def test_comes_once(self):
        with pytest.raises(SocketStateError, match="accepted before"):
            opened().accept(None)

    @pytest.mark.parametrize("make", [closed, refused])
    def test_does_not_come_after_the_end(self, make):
        with pytest.raises(SocketStateError, match="Nothing can follow"):
            make().accept(None)

    def test_does_not_come_after_the_client_left(self):
        with pytest.raises(SocketDisconnected):
            left().accept(None)


class TestClose:
    @pytest.mark.parametrize("code", [1000, 3000, 4999])
    def test_codes_of_applications(self, code):
        machine = opened()
        assert machine.close(code) is State.OPEN
        assert (machine.state, machine.code) == (State.CLOSED, code)

    @pytest.mark.parametrize(
        "code", [0, 999, 1001, 1011, 2999, 5000, -1, True, 4000.0, "1000", None]
    )
    def test_no_other_code(self, code):
        machine = opened()
        with pytest.raises(InvalidSocketValue, match="1000, or from 3000 to 4999") as caught:
            machine.close(code)
        assert repr(code) in str(caught.value)
        assert machine.state is State.OPEN

    def test_before_accept_refuses(self):
        machine = connecting()
        assert machine.close(1000) is State.CONNECTING
        assert (machine.state, machine.code) == (State.CLOSED, None)

    @pytest.mark.parametrize("make", [closed, refused, left])
    def test_of_what_has_ended_does_nothing(self, make):
        machine = make()
        before = machine.state, machine.code
        assert machine.close(3000) is before[0]
        assert (machine.state, machine.code) == before


class AnyOrder(RuleBasedStateMachine):
    """Whatever is called and happens, in any order: the states go one way, the errors are ours."""

    def __init__(self):
        super().__init__()
        self.machine = SocketState(["chat"])
        self.ended = None

    def check(self, before):
        after = self.machine.state
        allowed = {
            State.CONNECTING: set(State),
            State.OPEN: {State.OPEN, State.CLOSED, State.LEFT},
            State.CLOSED: {State.CLOSED},
            State.LEFT: {State.LEFT},
        }
        assert after in allowed[before]
        if before in (State.CLOSED, State.LEFT):
            assert self.machine.code == self.ended
        self.ended = self.machine.code

    @rule(name=st.sampled_from([None, "chat", "mqtt"]))
    def accept(self, name):
        before = self.machine.state
        try:
            self.machine.accept(name)
        except InvalidSocketValue:
            assert before is State.CONNECTING and name == "mqtt"
        except SocketStateError:
            assert before in (State.OPEN, State.CLOSED)
        except SocketDisconnected:
            assert before is State.LEFT
        else:
            assert before is State.CONNECTING and self.machine.state is State.OPEN
        self.check(before)

    @rule(receive=st.booleans(), waiting=st.booleans())
    def use(self, receive, waiting):
        before = self.machine.state
        try:
            if receive:
                self.machine.receiving("receive()", waiting=waiting)
            else:
                self.machine.sending("send_text()")
        except SocketStateError:
            assert before in (State.CONNECTING, State.CLOSED)
        except SocketDisconnected:
            assert before is State.LEFT and not (receive and waiting)
        else:
            assert before is State.OPEN or (before is State.LEFT and receive and waiting)
        assert self.machine.state is before, "asking changes nothing"

    @rule(code=st.integers(990, 5010))
    def close(self, code):
        before = self.machine.state
        try:
            assert self.machine.close(code) is before
        except InvalidSocketValue:
            assert code != 1000 and not 3000 <= code <= 4999
            assert self.machine.state is before
        self.check(before)

    @rule(code=st.integers(1000, 4999))
    def left(self, code):
        before = self.machine.state
        assert self.machine.left(code) is before
        self.check(before)

    @precondition(lambda self: self.machine.state is State.OPEN)
    @rule()
    def has_no_code_while_it_is_open(self):
        assert self.machine.code is None


TestAnyOrder = AnyOrder.TestCase
