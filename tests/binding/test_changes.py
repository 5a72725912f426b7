"""djchan.binding.changes: saves inside saves, saves that fail, and how many queries they cost."""

from typing import Any

from django.db import connection
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext

from djchan.binding.base import BindingMetaclass
from djchan.test import ChannelTestCase
from tests.binding.declare import Listener, declare, undeclare
from tests.binding.models import Card, Seat


def queries(act: Any) -> list[str]:
    """The verbs of the queries that ``act`` makes."""
    with CaptureQueriesContext(connection) as made:
        act()
    return [query["sql"].split()[0] for query in made]


class TestQueries(ChannelTestCase):
    def test_one_query_for_all_bindings_of_a_model(self):
        card = Card.objects.create()
        for _ in range(3):
            declare()
        self.assertEqual(queries(card.save), ["SELECT", "UPDATE"])

    def test_none_on_create(self):
        without = queries(Card.objects.create)
        declare()
        self.assertEqual(queries(Card.objects.create), without)

    def test_one_for_an_instance_that_is_deleted_and_none_for_a_queryset(self):
        before = list(BindingMetaclass.binding_classes)
        for reads, more in ((True, ["SELECT"]), (False, [])):
            with self.subTest(reads_stored_row=reads):
                without = queries(Card.objects.create().delete)
                of_a_queryset = queries(Card.objects.filter(pk=Card.objects.create().pk).delete)
                declare(reads_stored_row=reads)
                declare(reads_stored_row=reads)
                self.assertEqual(queries(Card.objects.create().delete), [*more, *without])
                rows = Card.objects.filter(pk=Card.objects.create().pk)
                self.assertEqual(queries(rows.delete), of_a_queryset)
                undeclare(keep=before)

    def test_one_more_for_what_was_not_saved_for_all_bindings_of_a_model(self):
        card = Card.objects.create()
        for _ in range(3):
            declare()
        queried = queries(lambda: card.save(update_fields=["title"]))
        self.assertEqual(queried, ["SELECT", "UPDATE", "SELECT"])

    def test_none_for_a_binding_that_does_not_read(self):
        card = Card.objects.create()
        declare(reads_stored_row=False)
        self.assertEqual(queries(card.save), ["UPDATE"])

    def test_two_fields_for_a_key(self):
        listener = Listener("seats")
        declare(model=Seat, fields=("guest",), group_names=classmethod(lambda cls, s: ["seats"]))
        Seat.objects.create(row=1, number=2, guest="x")
        self.assertEqual(queries(Seat.objects.get().save), ["SELECT", "UPDATE"])
        data = {"guest": "x"}
        self.assertEqual(listener.heard(), [("create", [1, 2], data), ("update", [1, 2], data)])


class TestSavesInsideSaves(ChannelTestCase):
    def setUp(self):
        self.a, self.b, self.c = (Listener(f"room-{name}") for name in "abc")

    def receive(self, signal: Any, receiver: Any) -> None:
        """Connect a receiver for the time of this test."""
        signal.connect(receiver, sender=Card, weak=False)
        self.addCleanup(signal.disconnect, receiver, sender=Card)

    def save_again(self, signal: Any) -> None:
        """Connect a receiver that saves its instance again, once, in the room c."""
        pending = ["c"]

        def again(instance: Any, **kwargs: Any) -> None:
            if pending and not kwargs.get("created"):
                instance.room = pending.pop()
                instance.save()

        self.receive(signal, again)

    def moved(self) -> list[list[str]]:
        """What each room heard of a card that was saved in b."""
        self.card.room = "b"
        self.card.save()
        self.assertNotIn("_djchan_binding_changes", vars(self.card))
        return [each.actions() for each in (self.a, self.b, self.c)]

    def test_before_the_save_by_a_receiver_before_ours(self):
        self.card = Card.objects.create()
        self.save_again(pre_save)
        declare()
        self.assertEqual(self.moved(), [["delete"], [], ["create", "update"]])

    def test_before_the_save_by_a_receiver_behind_ours(self):
        self.card = Card.objects.create()
        declare()
        self.save_again(pre_save)
        # What ours had learned before is told once more.
        self.assertEqual(self.moved(), [["delete", "delete"], [], ["create", "create"]])

    def test_after_the_save_by_a_receiver_before_ours(self):
        self.card = Card.objects.create()
        self.save_again(post_save)
        declare()
        # The inner save has b for the row, of which nobody was told yet.
        self.assertEqual(self.moved(), [["delete"], ["delete"], ["create", "create"]])

    def test_after_the_save_by_a_receiver_behind_ours(self):
        self.card = Card.objects.create()
        declare()
        self.save_again(post_save)
        self.assertEqual(self.moved(), [["delete"], ["create", "delete"], ["create"]])

    def test_after_the_save_by_a_receiver_between_two_of_ours(self):
        self.card = Card.objects.create()
        declare(fields=("title",))
        self.save_again(post_save)
        declare(fields=("room",), group_names=classmethod(lambda cls, card: [f"2-{card.room}"]))
        second = [Listener(f"2-{name}") for name in "abc"]
        self.assertEqual(self.moved(), [["delete"], ["create", "delete"], ["create"]])
        heard = [each.actions() for each in second]
        self.assertEqual(heard, [["delete"], ["delete"], ["create", "create"]])


class TestWhatIsLeft(ChannelTestCase):
    def setUp(self):
        self.a, self.b = Listener("room-a"), Listener("room-b")
        self.card = Card.objects.create()

    def test_nothing_after_a_save_and_a_delete(self):
        before = set(vars(self.card))
        declare()
        declare()
        self.card.save()
        self.assertEqual(set(vars(self.card)), before)
        self.card.delete()
        self.assertEqual(set(vars(self.card)), before)

    def test_a_save_that_failed_is_not_taken_for_the_next_one(self):
        """Of two bindings the second had not been asked yet."""
        failing = [True]

        def fail(instance: Any, **kwargs: Any) -> None:
            if failing:
                raise ZeroDivisionError

        declare()
        pre_save.connect(fail, sender=Card)
        self.addCleanup(pre_save.disconnect, fail, sender=Card)
        declare()
        with self.assertRaises(ZeroDivisionError):
            self.card.save()
        failing.clear()
        Card.objects.update(room="b")
        self.card.room = "b"
        self.card.save()
        self.assertEqual((self.a.actions(), self.b.actions()), ([], ["update", "update"]))

    def test_a_binding_that_raised_leaves_nothing_for_the_next_save(self):
        raising = [True]

        def group_names(cls: Any, card: Any) -> list[str]:
            if raising:
                raise ZeroDivisionError
            return [f"room-{card.room}"]

        declare(group_names=classmethod(group_names))
        with self.assertRaises(ZeroDivisionError):
            self.card.save()
        raising.clear()
        Card.objects.update(room="b")
        self.card.room = "b"
        self.card.save()
        self.assertEqual((self.a.actions(), self.b.actions()), ([], ["update"]))
