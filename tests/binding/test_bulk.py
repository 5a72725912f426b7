"""djchan.binding.bulk: bulk operations send what they did."""

import pytest
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from djchan.binding import send_changes, send_created
from djchan.test import ChannelTestCase, TransactionChannelTestCase
from tests.binding.declare import Listener, declare
from tests.binding.models import BigCard, Card, Key, Seat, Tag
from tests.binding.test_changes import queries


class TestCreated(ChannelTestCase):
    def setUp(self):
        self.a = Listener("room-a")

    def test_each_with_what_the_database_has(self):
        declare(fields=("title", "loud"))
        cards = Card.objects.bulk_create(
            [Card(title="x"), Card(title=Concat(Value("y"), Value("z")))]
        )
        self.assertEqual(self.a.heard(), [])
        send_created(cards)
        self.assertEqual(
            self.a.heard(),
            [
                ("create", cards[0].pk, {"title": "x", "loud": "X"}),
                ("create", cards[1].pk, {"title": "yz", "loud": "YZ"}),
            ],
        )

    def test_one_query_for_all(self):
        declare()
        cards = Card.objects.bulk_create([Card() for _ in range(5)])
        self.assertEqual(queries(lambda: send_created(cards)), ["SELECT"])

    def test_rows_that_a_manager_hides_and_keys_of_other_types(self):
        listener = Listener("all")
        for model in (Card, Key, Seat):
            declare(model=model, fields="__all__", group_names=classmethod(lambda cls, x: ["all"]))
        cards = Card.objects.bulk_create([Card(hidden=True)])
        keys = Key.objects.bulk_create([Key(name="x")])
        seats = Seat.objects.bulk_create([Seat(row=1, number=2)])
        send_created([*cards, *keys, *seats])
        heard = [pk for _, pk, _ in listener.heard()]
        self.assertEqual(heard, [cards[0].pk, str(keys[0].pk), [1, 2]])

    def test_one_without_a_key_is_refused_before_anything_is_sent(self):
        declare()
        for without in (Card(), Seat(row=1)):
            with self.assertRaisesRegex(ValueError, "no primary key.*ignore_conflicts"):
                send_created([Card.objects.create(), without])
        self.assertEqual(self.a.actions(), ["create", "create"])


class TestChanges(ChannelTestCase):
    def setUp(self):
        self.a, self.b = Listener("room-a"), Listener("room-b")
        self.pks = [Card.objects.create(title=title).pk for title in "xyz"]
        declare()

    def test_an_update_that_moves_rows(self):
        with send_changes(Card.objects.filter(title__in="xy")):
            Card.objects.filter(title__in="xy").update(
                room="b", title=Concat(F("title"), F("room"))
            )
        x, y, _ = self.pks
        self.assertEqual(
            self.a.heard(),
            [
                ("delete", x, {"room": "a", "title": "x"}),
                ("delete", y, {"room": "a", "title": "y"}),
            ],
        )
        self.assertEqual(
            self.b.heard(),
            [
                ("create", x, {"room": "b", "title": "xa"}),
                ("create", y, {"room": "b", "title": "ya"}),
            ],
        )

    def test_a_bulk_update_of_the_same_instances(self):
        cards = Card.objects.order_by("pk")
        with send_changes(cards):
            for card in cards:
                card.title = "new"
            Card.objects.bulk_update(cards, ["title"])
        data = {"room": "a", "title": "new"}
        self.assertEqual(self.a.heard(), [("update", pk, data) for pk in self.pks])

    def test_rows_that_are_deleted_past_the_signals(self):
        with send_changes(Card.objects.filter(title="x")):
            Card.objects.filter(title="x")._raw_delete("default")
        self.assertEqual(self.a.heard(), [("delete", self.pks[0], {"room": "a", "title": "x"})])

    def test_relations(self):
        listener = Listener("tags")
        declare(fields=("tags",), group_names=classmethod(lambda cls, card: ["tags"]))
        tag = Tag.objects.create(name="t")
        with send_changes(Card.objects.filter(title="x")):
            tag.card_set.add(self.pks[0])
        self.assertEqual(listener.heard(), [("update", self.pks[0], {"tags": [tag.pk]})])

    def test_a_part_of_a_sorted_queryset_and_of_deferred_fields(self):
        for rows in (
            Card.objects.order_by("-title")[:1],
            Card.objects.only("id").filter(title="z"),
            Card.objects.values("title").filter(title="z"),
        ):
            with send_changes(rows):
                pass
            self.assertEqual([pk for _, pk, _ in self.a.heard()], [self.pks[2]])

    def test_three_queries_however_many_rows(self):
        def change() -> None:
            with send_changes(Card.objects.all()):
                pass

        self.assertEqual(queries(change), ["SELECT"] * 3)

    def test_a_child_with_a_table_of_its_own(self):
        listener = Listener("big")
        declare(
            model=BigCard,
            fields=("title", "size"),
            group_names=classmethod(lambda cls, card: ["big"]),
        )
        pk = BigCard.objects.create(title="x").pk
        listener.heard()
        with send_changes(BigCard.objects.all()):
            BigCard.objects.update(title="y", size=2)
        self.assertEqual(listener.heard(), [("update", pk, {"title": "y", "size": 2})])

    def test_nothing_is_sent_if_the_block_raises(self):
        with pytest.raises(ZeroDivisionError), send_changes(Card.objects.all()):
            1 / 0  # noqa: B018
        self.assertEqual(self.a.heard(), [])


class TestWhenItGoesOut(TransactionChannelTestCase):
    def test_when_the_transaction_commits_and_not_if_it_is_rolled_back(self):
        listener = Listener("room-a")
        declare()
        with transaction.atomic():
            send_created(Card.objects.bulk_create([Card(title="x")]))
            self.assertEqual(listener.heard(), [])
        self.assertEqual(listener.actions(), ["create"])
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            with send_changes(Card.objects.all()):
                Card.objects.update(title="y")
            1 / 0  # noqa: B018
        self.assertEqual(listener.heard(), [])
