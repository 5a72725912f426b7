"""djchan.databases: what a consumer does to a database connection ends with its message."""

import pytest
from django.contrib.auth.models import Group as AuthGroup
from django.db import connection, connections, transaction

from djchan import databases, route
from djchan.asgi import ChannelLayerWrapper
from djchan.dispatch import dispatch
from djchan.layers.inmemory import InMemoryChannelLayer
from djchan.message import Message
from djchan.outcomes import Outcome


def run(consumer):
    layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route("go", consumer)])
    message = Message({}, "go", layer, id="m-1")
    return dispatch(message, router=layer.router, sender=None)


def leaves_one_open(message):
    transaction.atomic().__enter__()
    AuthGroup.objects.create(name="never committed")


def leaves_two_open(message):
    transaction.atomic().__enter__()
    leaves_one_open(message)


def leaves_one_open_and_raises(message):
    leaves_one_open(message)
    raise ValueError("no such luck")


def leaves_one_broken(message):
    leaves_one_open(message)
    transaction.set_rollback(True)


LEAVES_OPEN = [leaves_one_open, leaves_two_open, leaves_one_open_and_raises, leaves_one_broken]


@pytest.mark.parametrize("consumer", LEAVES_OPEN)
class TestATransactionThatAConsumerLeavesOpen:
    @pytest.mark.django_db(transaction=True)
    def test_it_is_rolled_back_and_logged_with_the_message(self, consumer, caplog):
        run(consumer)
        assert not connection.in_atomic_block
        assert connection.get_autocommit()
        assert not AuthGroup.objects.exists()
        (line,) = [each for each in caplog.records if each.name == "djchan.databases"]
        assert "<Message m-1 on go> left a transaction" in line.getMessage()

    @pytest.mark.django_db
    def test_the_one_around_it_in_a_test_goes_on(self, consumer):
        AuthGroup.objects.create(name="of the test")
        depth = len(connection.atomic_blocks)
        run(consumer)
        assert len(connection.atomic_blocks) == depth
        assert [group.name for group in AuthGroup.objects.all()] == ["of the test"]


@pytest.mark.django_db
def test_a_transaction_that_ends_with_its_consumer_is_kept(caplog):
    @transaction.atomic
    def consumer(message):
        AuthGroup.objects.create(name="committed")

    assert run(consumer).outcome is Outcome.DONE
    assert AuthGroup.objects.get().name == "committed"
    assert not caplog.records


@pytest.fixture
def closed(monkeypatch):
    """How often the connection was closed, without closing it: its database is in memory."""
    calls = []
    ours = connections["default"]
    ours.ensure_connection()
    monkeypatch.setattr(ours, "close_at", None)
    monkeypatch.setattr(ours, "close", lambda: calls.append(1))
    return calls


class Composed:
    """As psycopg's: its text is known once there is a connection."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return f"Composed([SQL({self.text!r})])"

    def as_string(self, context):
        return self.text


@pytest.mark.django_db(transaction=True)
class TestASessionThatAConsumerChanges:
    @pytest.mark.parametrize(
        "statement",
        [
            "SET statement_timeout = 5",
            " set session time zone 'Asia/Tokyo'",
            "RESET ALL",
            "BEGIN",
            "START TRANSACTION",
            "PRAGMA foreign_keys = OFF",
            "CREATE TEMPORARY TABLE t (a int)",
            "create temp table t (a int)",
            "LISTEN news",
            "USE other",
            "LOCK TABLES a WRITE",
            "SELECT set_config('search_path', 'other', false)",
            "SELECT pg_try_advisory_lock(1)",
            "SELECT PG_ADVISORY_LOCK(1)",
            "SELECT GET_LOCK('a', 1)",
            "SELECT @a := 1",
            "-- for this report\nSET statement_timeout = 5",
            "/* for this report */ SET statement_timeout = 5",
            "SELECT 1; SET search_path TO other",
            "UPDATE a SET b = 1; /* and */ RESET ALL",
            "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "DETACH DATABASE other",
            Composed("SET search_path TO other"),
        ],
    )
    def test_its_connection_is_closed(self, statement, closed):
        assert run(self.consumer(statement)).outcome is Outcome.DONE
        assert closed == [1]

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT 1",
            "SET LOCAL statement_timeout = 5",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "UPDATE a SET b = 1",
            "LOCK TABLE a IN SHARE MODE",
            "CREATE TABLE temp (a int)",
            "DECLARE c CURSOR FOR SELECT 1",
            "SELECT pg_advisory_xact_lock(1)",
            "SELECT 1;",
            "SELECT 1; SET LOCAL statement_timeout = 5",
            "-- SET statement_timeout = 5\nSELECT 1",
            Composed("SELECT 1"),
        ],
    )
    def test_what_ends_with_the_transaction_closes_nothing(self, statement, closed):
        assert run(self.consumer(statement)).outcome is Outcome.DONE
        assert closed == []

    def consumer(self, statement):
        def consumer(message):
            databases._opened(connection=connections["default"])  # As if it were opened here.
            # This database knows few of these statements: none gets there.
            with connection.execute_wrapper(lambda *args: None), connection.cursor() as cursor:
                cursor.execute(statement)

        return consumer

    def test_a_new_connection_is_not_changed(self, closed):
        databases._of_thread.changed.add(connections["default"])
        databases._opened(connection=connections["default"])
        run(lambda message: None)
        assert closed == []


@pytest.mark.django_db
def test_each_message_has_queries_of_its_own(settings):
    settings.DEBUG = True

    def consumer(message):
        list(AuthGroup.objects.all())
        return len(connection.queries)

    assert [run(consumer).value for _ in range(3)] == [1, 1, 1]
