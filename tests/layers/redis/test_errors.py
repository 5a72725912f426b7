"""What errors of Redis, and of connections to it, mean: a row of the table each."""

import errno
from typing import Any

import pytest
import redis.exceptions
from redis._parsers import BaseParser

from djchan.exceptions import BrokerError, BrokerRefused, BrokerUnavailable, BrokerUnsupported
from djchan.layers.redis import errors

# (what Redis answers, exception, worth waiting, another server is looked for, words)
REPLIES: list[tuple[str, type[BrokerError], bool, bool, str]] = [
    (
        "LOADING Redis is loading the dataset in memory",
        BrokerUnavailable, True, False, r"still loading its data from the disk \(LOADING",
    ),
    (
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        BrokerUnavailable, True, False, r"busy with a script .*SCRIPT KILL",
    ),
    (
        "READONLY You can't write against a read only replica.",
        BrokerUnavailable, True, True, r"is not the master, or has none \(READONLY",
    ),
    (
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        BrokerUnavailable, True, True, r"is not the master, or has none \(MASTERDOWN",
    ),
    (
        "CLUSTERDOWN Hash slot not served",
        BrokerUnavailable, True, True, r"belongs to a cluster that is down",
    ),
    (
        "TRYAGAIN Multiple keys request during rehashing of slot",
        BrokerUnavailable, True, False, r"moves the layer's slot to another node",
    ),
    ("ASK 1234 10.0.0.2:6379", BrokerUnavailable, True, False, r"ASK 1234 10\.0\.0\.2:6379"),
    (
        "MOVED 1234 10.0.0.2:6379",
        BrokerUnsupported, False, False,
        r"cluster node that does not serve this layer's slot: MOVED 1234 10\.0\.0\.2:6379",
    ),
    (
        "CROSSSLOT Keys in request don't hash to the same slot",
        BrokerUnsupported, False, False, r"refused keys of several slots",
    ),
    (
        "NOREPLICAS Not enough good replicas to write.",
        BrokerRefused, True, False, r"refused to write: NOREPLICAS .*min-replicas-to-write",
    ),
    (
        "OOM command not allowed when used memory > 'maxmemory'.",
        BrokerRefused, True, False, r"refused to write: OOM .*when there is room",
    ),
    (
        "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.",
        BrokerRefused, True, False, r"cannot save its data to the disk: MISCONF",
    ),
    (
        "NOPERM User web has no permissions to run the 'info' command",
        BrokerUnsupported, False, False, r"NOPERM User web .*'info' command.*ACL SETUSER",
    ),
    (
        "ERR The user executing the script can't run this command or subcommand script: abc",
        BrokerUnsupported, False, False, r"ACL SETUSER",
    ),
    (
        "ERR ACL failure in script: User web has no permissions to run the 'xadd' command",
        BrokerUnsupported, False, False, r"'xadd' command.*ACL SETUSER",
    ),
    (
        "ERR unknown command 'EVALSHA', with args beginning with: 'S3CRET' ",
        BrokerUnsupported, False, False, r"does not know a command .*'EVALSHA'.*rename-command",
    ),
    (
        "ERR Unknown Redis command called from script script: abc, on @user_script:1.",
        BrokerUnsupported, False, False, r"does not know a command",
    ),
    ("WRONGPASS invalid username-password pair", BrokerUnavailable, False, False, "the login"),
    ("NOAUTH Authentication required.", BrokerUnavailable, False, False, "accept the login"),
    ("ERR invalid password", BrokerUnavailable, False, False, "accept the login"),
    (
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?",
        BrokerUnavailable, False, False, "did not accept the login",
    ),
    ("ERR max number of clients reached", BrokerUnavailable, True, False, "maxclients"),
    ("ERR DB index is out of range", BrokerUnsupported, False, False, "no such database"),
    (
        "ERR SELECT is not allowed in cluster mode",
        BrokerUnsupported, False, False, "a cluster has only 0",
    ),
    (
        "DENIED Redis is running in protected mode because protected mode is enabled",
        BrokerUnavailable, False, True, "in protected mode.*requirepass",
    ),
    (
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
        "replica?)",
        BrokerUnavailable, True, True, "not the master.*UNBLOCKED",
    ),
    ("ERR something else", BrokerRefused, False, False, r"Redis at here refused: something else$"),
    ("WRONGTYPE not a list", BrokerRefused, False, False, r"refused: WRONGTYPE not a list"),
]  # fmt: skip
IDS = [reply[:24] for reply, *_ in REPLIES]


def answered(reply: str) -> Exception:
    """``reply`` as redis-py reads it."""
    error = BaseParser.parse_error(reply)
    assert isinstance(error, Exception)
    return error


@pytest.mark.parametrize(("reply", "kind", "transient", "leave", "words"), REPLIES, ids=IDS)
def test_an_error_reply_means_one_exception(
    reply: str, kind: type[BrokerError], transient: bool, leave: bool, words: str
):
    error = errors.translate(answered(reply), "here", sent=False)

    assert type(error) is kind
    assert (error.transient, errors.meaning(answered(reply)).leave) == (transient, leave)
    with pytest.raises(kind, match=words):
        raise error
    assert str(error).startswith("Redis at here ")
    assert "S3CRET" not in str(error)


@pytest.mark.parametrize("reply", [reply for reply, *_ in REPLIES], ids=IDS)
def test_none_of_them_is_blamed_on_the_version(reply: str):
    assert "needs Redis" not in str(errors.translate(answered(reply), "here", sent=False))


# (text, phrase of the table, words)
TLS = [
    ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
     "certificate verify failed", "does not trust .*ssl_ca_certs"),
    ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
     "wrong version number", "does not speak TLS on that port"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "phrase", "words"), TLS, ids=["trust", "no TLS"])
def test_what_is_wrong_with_tls(text: str, phrase: str, words: str):
    broken = redis.exceptions.ConnectionError(f"Error 1 connecting to x:1. {text}.")
    with pytest.raises(BrokerUnavailable, match=words):
        raise errors.translate(broken, "here", sent=False)


@pytest.mark.parametrize(
    ("broken", "sent", "cut"),
    [
        (redis.exceptions.ConnectionError("Connection closed by server."), True, True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), True, True),
        (redis.exceptions.ConnectionError("Error 111 connecting"), False, False),
        (redis.exceptions.TimeoutError("Timeout reading from socket"), True, False),
        (TimeoutError(), True, False),
        (redis.exceptions.BusyLoadingError("loading"), True, False),
    ],
    ids=str,
)
def test_a_connection_that_was_cut_is_told_from_one_that_is_silent(
    broken: Exception, sent: bool, cut: bool
):
    error = errors.translate(broken, "here", sent=sent)

    assert isinstance(error, BrokerUnavailable) and error.cut is cut


# In tests/layers/redis/test_greetings.py.
NO_REDIS = ('got "\\x15" as reply type byte', "as reply type byte")


@pytest.mark.parametrize("row", [*errors.BY_CODE, *errors.BY_PHRASE])
def test_every_row_has_a_reply_above(row: str):
    assert any(row.lower() in reply.lower() for reply, *_ in REPLIES) or row in (
        "invalid db index",
        "client sent auth",
        "wrong number of arguments for 'auth'",
        "problem with ldap service",
        "unknown subcommand",
        "packet length too long",
        "record layer failure",
        *(phrase for _, phrase, _ in TLS),
        *NO_REDIS,
    )


def test_behind_sentinel_a_master_without_replicas_is_left():
    error = answered("NOREPLICAS Not enough good replicas to write.")

    assert errors.meaning(error, sentinel=True).leave
    assert type(errors.translate(error, "here", sent=False, sentinel=True)) is BrokerUnavailable


NO_ANSWERS: list[tuple[BaseException, bool, str]] = [
    (redis.exceptions.ConnectionError("Error 111 connecting to x:1. Connection refused."), False,
     r"did not answer \(ConnectionError: Error 111"),
    (redis.exceptions.TimeoutError("Timeout reading from socket"), False, "TimeoutError: Timeout"),
    (TimeoutError(), False, r"did not answer \(TimeoutError"),
    (ConnectionResetError(errno.ECONNRESET, "reset"), False, "ConnectionResetError"),
    (EOFError(), False, "EOFError"),
    (OSError(errno.EMFILE, "Too many open files"), True, "no file descriptor left.*LimitNOFILE"),
    (OSError(errno.ENFILE, "Too many open files in system"), True, "no file descriptor left"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "transient", "words"), NO_ANSWERS, ids=str)
def test_no_answer(broken: BaseException, transient: bool, words: str):
    error = errors.translate(broken, "here", sent=True)

    assert isinstance(error, BrokerUnavailable)
    assert (error.sent, error.transient) == (True, transient)
    with pytest.raises(BrokerUnavailable, match=words):
        raise error


def test_an_error_number_is_found_below_what_redis_py_makes_of_it():
    try:
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError as error:
            raise redis.exceptions.ConnectionError("Error 24 connecting") from error
    except redis.exceptions.ConnectionError as error:
        assert errors.meaning(error) is errors.BY_NUMBER[errno.EMFILE]


def test_a_refused_connection_says_that_nothing_was_sent():
    broken = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")

    error = errors.translate(broken, "here", sent=False)

    assert str(error).startswith("Redis at here did not answer: nothing listens there")
    assert "so nothing was sent" in str(error)
    assert isinstance(error, BrokerUnavailable)
    assert not (error.sent or error.cut or error.answered)


@pytest.mark.parametrize("older", ["You can't write against a read only replica.", ""])
def test_a_redis_py_that_keeps_no_codes_is_understood(older: str):
    error: Any = redis.exceptions.ReadOnlyError(older)
    error.status_code = None

    assert errors.code_of(error) == "READONLY"
    assert errors.text_of(error).startswith("READONLY")


def test_a_text_stays_on_one_line():
    assert errors.text_of(redis.exceptions.ResponseError("a\nb\r\n  c")) == "a b c"
