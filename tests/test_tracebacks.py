"""What an error report shows of an exception besides its message."""

import traceback

import pytest

from djchan.tracebacks import clear_locals, with_causes


def connect(password: str) -> None:
    raise OSError("no login")


def ask(password: str) -> None:
    try:
        connect(password)
    except OSError as error:
        raise RuntimeError("no answer") from error


def test_functions_that_an_error_has_ended_lose_their_variables_and_keep_their_lines():
    mine = "kept"
    with pytest.raises(RuntimeError) as caught:
        ask("S3CRET")
    error = caught.value

    clear_locals(error)

    for each in (error, error.__cause__):
        assert each is not None
        for frame, _ in traceback.walk_tb(each.__traceback__):
            assert "S3CRET" not in repr(frame.f_locals) or "mine" in frame.f_locals
    assert "in connect" in "".join(traceback.format_exception(error))
    assert mine == "kept"


def test_causes_that_go_round_in_a_circle_come_once():
    error, cause = RuntimeError(), ValueError()
    error.__cause__ = error.__context__ = cause
    cause.__context__ = error
    assert list(with_causes(error)) == [error, cause]
