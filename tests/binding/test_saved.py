"""What a binding sends is what was saved, whatever the instance in memory says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from unittest import mock

from django.core import serializers
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.db.models.signals import m2m_changed, post_save
from django.test import override_settings

from djchan.binding.base import BindingMetaclass
from djchan.binding.changes import Change
from djchan.exceptions import InvalidFrame
from djchan.generic.websockets import WebsocketDemultiplexer
from djchan.test import ChannelTestCase, TransactionChannelTestCase, apply_routes
from tests.binding.declare import Listener, declare, undeclare
from tests.binding.models import BigCard, Card, Key, ProxyCard, Reading, Seat, Tag
from tests.binding.test_changes import queries
from tests.binding.test_websockets import Inbound


def everybody(group: str) -> Any:
    """A group_names that is the same for each instance."""
    return classmethod(lambda cls, instance: [group])


class TestStoredValues(ChannelTestCase):
    def setUp(self):
        self.a, self.b = Listener("room-a"), Listener("room-b")

    def test_attributes_that_update_fields_left_out_move_nothing_and_are_not_sent(self):
        card = Card.objects.create(room="a", title="old")
        declare()
        for names in (["title"], {"title"}, ("title", "hidden")):
            with self.subTest(names=names):
                card.room, card.title = "b", "new"
                card.save(update_fields=names)
                data = {"room": "a", "title": "new"}
                self.assertEqual(self.a.heard(), [("update", card.pk, data)])
                self.assertEqual(self.b.heard(), [])
                self.assertEqual(card.room, "b")  # The project's instance is as it was.

    def test_a_foreign_key_that_was_not_saved_shows_the_stored_object(self):
        owners = [self.user("ann"), self.user("bob")]
        card = Card.objects.create(owner=owners[0])
        listener = Listener("ann", "bob")
        declare(group_names=classmethod(lambda cls, card: [card.owner.username]))
        card.owner = owners[1]
        card.save(update_fields=["title"])
        self.assertEqual(listener.actions(), ["update"])

    def user(self, name: str) -> Any:
        return Card._meta.get_field("owner").related_model.objects.create(username=name)

    def test_the_result_of_an_expression_is_sent(self):
        declare()
        card = Card.objects.create(title=Concat(Value("a"), Value("b")))
        card = Card.objects.get(pk=card.pk)
        card.title = Concat(F("title"), Value("c"))
        card.save()
        titles = [data["title"] for _, _, data in self.a.heard()]
        self.assertEqual(titles, ["ab", "abc"])

    def test_a_group_that_hangs_on_an_expression(self):
        card = Card.objects.create(room="a")
        declare()
        card.room = Value("b")
        card.save()
        self.assertEqual((self.a.actions(), self.b.actions()), (["delete"], ["create"]))

    def test_a_generated_field_is_that_of_the_new_values(self):
        card = Card.objects.create(title="x")
        card = Card.objects.get(pk=card.pk)
        declare(fields=("loud",))
        card.title = "y"
        card.save()
        ((_, _, data),) = self.a.heard()
        self.assertEqual(data, {"loud": "Y"})

    def test_where_all_was_saved_nothing_is_read_again(self):
        card = Card.objects.create()
        declare()
        self.assertEqual(queries(card.save), ["SELECT", "UPDATE"])

    def test_a_row_that_a_receiver_deleted_sends_no_update(self):
        card = Card.objects.create(room="a")

        def delete(instance: Any, **kwargs: Any) -> None:
            Card.objects.filter(pk=instance.pk).delete()

        post_save.connect(delete, sender=Card, weak=False)
        self.addCleanup(post_save.disconnect, delete, sender=Card)
        declare()
        card.save(update_fields=["title"])
        self.assertEqual(self.a.actions(), ["delete"])

    def test_parents_fields_are_sent(self):
        named, every = Listener("named"), Listener("every")
        declare(
            model=BigCard,
            fields=("title", "size", "room"),
            group_names=classmethod(lambda cls, card: ["named"]),
        )
        declare(
            model=BigCard,
            fields="__all__",
            group_names=classmethod(lambda cls, card: ["every"]),
        )
        BigCard.objects.create(title="x", size=3)
        ((_, _, data),) = named.heard()
        self.assertEqual(data, {"title": "x", "size": 3, "room": "a"})
        ((_, _, data),) = every.heard()
        self.assertEqual((data["title"], data["size"], data["tags"]), ("x", 3, []))

    def test_loaddata_sends_nothing_and_asks_for_no_relation(self):
        def group_names(cls: Any, card: Any) -> Any:
            return [card.owner.username]

        declare(group_names=classmethod(group_names))
        card = {
            "model": "binding.card",
            "pk": 1,
            "fields": {"owner": 7, "changed": "2026-01-01T00:00Z"},
        }
        user = {"model": "auth.user", "pk": 7, "fields": {"username": "ann", "password": "x"}}
        path = Path(self.enterContext(TemporaryDirectory())) / "cards.json"
        path.write_text(json.dumps([card, user]))
        listener = Listener("ann")
        call_command("loaddata", str(path), verbosity=0)
        self.assertEqual(Card.objects.get().owner.username, "ann")
        self.assertEqual(listener.heard(), [])

    def test_a_deserialized_object_that_is_saved_sends_nothing(self):
        declare()
        (found,) = serializers.deserialize(
            "python", [{"model": "binding.card", "fields": {"changed": "2026-01-01T00:00Z"}}]
        )
        found.save()
        self.assertEqual(self.a.heard(), [])

    def test_a_value_of_another_type_is_sent_as_it_is_stored(self):
        listener = Listener("readings")
        declare(model=Reading, fields="__all__", group_names=everybody("readings"))
        reading = Reading.objects.create(value="7", amount="1.5", day="2026-01-02", level="5")
        reading.level = "6"
        reading.save()
        stored = {"value": 7.0, "amount": "1.50", "day": "2026-01-02", "level": 5}
        pk = reading.pk
        self.assertEqual(
            listener.heard(), [("create", pk, stored), ("update", pk, {**stored, "level": 6})]
        )
        self.assertEqual(reading.level, "6")

    def test_a_default_of_the_database_is_sent(self):
        listener = Listener("readings")
        declare(model=Reading, fields=("level",), group_names=everybody("readings"))
        Reading.objects.create()
        self.assertEqual([data for _, _, data in listener.heard()], [{"level": 3}])

    def test_relations_that_were_prefetched_are_read_anew(self):
        tag = Tag.objects.create(name="new")
        Card.objects.create()
        card = Card.objects.prefetch_related("tags").get()
        Card.objects.get().tags.add(tag)
        declare(fields=("tags",))
        card.save()
        self.assertEqual(self.a.heard(), [("update", card.pk, {"tags": [tag.pk]})])
        self.assertEqual(list(card.tags.all()), [])  # The project's own is as it was.

    def test_deferred_fields(self):
        pk = Card.objects.create(room="a", title="x").pk
        declare()
        for rows in (Card.objects.only("id"), Card.objects.defer("room"), Card.objects.all()):
            card = rows.get()
            card.hidden = True
            card.save()
            self.assertEqual(self.a.heard(), [("update", pk, {"room": "a", "title": "x"})])


class TestDeletions(ChannelTestCase):
    def setUp(self):
        self.a, self.b = Listener("room-a"), Listener("room-b")

    def deleted(self, *pks: int) -> None:
        """Assert that only the room a was told of the rows, with their stored values."""
        data = {"room": "a", "title": "x"}
        self.assertEqual(self.a.heard(), [("delete", pk, data) for pk in pks])
        self.assertEqual(self.b.heard(), [])

    def test_attributes_that_were_never_saved_move_nothing_and_are_not_sent(self):
        for model in (Card, BigCard, ProxyCard):
            with self.subTest(model=model):
                card = model.objects.create(room="a", title="x")
                pk = card.pk
                before = list(BindingMetaclass.binding_classes)
                # Of the parent, too: Django makes that one of the instance.
                declare(model=ProxyCard if model is ProxyCard else Card)
                card.room, card.title = "b", "secret"
                card.delete()
                self.deleted(pk)
                undeclare(keep=before)

    def test_deferred_fields(self):
        for reads in (True, False):
            for delete in (
                lambda: Card.objects.only("id").get().delete(),
                lambda: Card.objects.only("id").delete(),
                lambda: Card.objects.defer("title").get().delete(),
            ):
                pk = Card.objects.create(room="a", title="x").pk
                before = list(BindingMetaclass.binding_classes)
                declare(reads_stored_row=reads)
                delete()
                self.deleted(pk)
                undeclare(keep=before)

    def test_a_cascade_reads_no_row_again(self):
        owner = Card._meta.get_field("owner").related_model.objects.create(username="ann")
        pks = [Card.objects.create(room="a", title="x", owner=owner).pk for _ in range(3)]
        declare()
        with mock.patch.object(Change, "read") as read:
            owner.delete()
        read.assert_not_called()
        self.assertEqual(sorted(pk for _, pk, _ in self.a.heard()), pks)

    def test_one_that_is_gone_already(self):
        card = Card.objects.create()
        declare()
        Card.objects.filter(pk=card.pk)._raw_delete("default")
        card.delete()
        self.assertEqual(self.a.heard(), [])


class TestOneListForBothWays(Inbound):
    def setUp(self):
        super().setUp()
        self.listener = Listener("room-a")
        self.user = Card._meta.get_field("owner").related_model.objects.create(username="ann")

    def test_a_relation_by_the_name_of_its_attribute(self):
        for names in (("owner",), ("owner_id",)):
            with self.subTest(names):
                before = list(BindingMetaclass.binding_classes)
                binding = declare(fields=names)
                self.send(binding, action="create", data={names[0]: self.user.pk})
                ((_, _, data),) = self.listener.heard()
                self.assertEqual(data, {names[0]: self.user.pk})
                undeclare(keep=before)

    def test_an_excluded_relation_by_the_name_of_its_attribute(self):
        for attributes in (
            {"fields": None, "exclude": ("owner_id",)},
            {"fields": ("title", "owner"), "exclude": ("owner_id",)},
            {"fields": ("title", "owner_id"), "exclude": ("owner",)},
            {"fields": "__all__", "exclude": ("owner_id",), "model": ProxyCard},
        ):
            with self.subTest(attributes):
                before = list(BindingMetaclass.binding_classes)
                binding = declare(**attributes)
                data = {"title": "x", "owner": self.user.pk, "owner_id": self.user.pk}
                self.send(binding, action="create", data=data)
                ((_, pk, data),) = self.listener.heard()
                self.assertEqual(data["title"], "x")
                self.assertEqual({"owner", "owner_id"} & data.keys(), set())
                self.assertIsNone(Card.objects.get(pk=pk).owner)
                undeclare(keep=before)

    def test_an_excluded_name_that_is_no_field_is_refused(self):
        with self.assertRaisesRegex(
            ValueError, "names that are no fields of binding.Card.*'titel'"
        ):
            declare(fields=None, exclude=("titel", "room"))

    def test_a_proxy(self):
        binding = declare(model=ProxyCard)
        self.send(binding, action="create", data={"title": "x"})
        pk = Card.objects.get().pk
        self.send(binding, action="update", pk=pk, data={"title": "y"})
        Card.objects.get().save()  # Another model.
        self.send(binding, action="delete", pk=pk)
        heard = [(action, data["title"]) for action, _, data in self.listener.heard()]
        self.assertEqual(heard, [("create", "x"), ("update", "y"), ("delete", "y")])

    def test_a_uuid_as_key(self):
        listener = Listener("keys")
        binding = declare(model=Key, fields=("name",), group_names=everybody("keys"))
        self.send(binding, action="create", data={"name": "x"})
        pk = str(Key.objects.get().pk)
        self.send(binding, action="update", pk=pk.upper(), data={"name": "y"})
        self.send(binding, action="delete", pk=pk)
        heard = [(action, key, data["name"]) for action, key, data in listener.heard()]
        self.assertEqual(heard, [("create", pk, "x"), ("update", pk, "y"), ("delete", pk, "y")])

    def test_two_fields_as_key(self):
        listener = Listener("seats")
        binding = declare(model=Seat, fields="__all__", group_names=everybody("seats"))
        self.send(binding, action="create", data={"row": 1, "number": 2, "guest": "x"})
        self.send(binding, action="update", pk=[1, 2], data={"guest": "y"})
        for pk in ([1], [1, 2, 3], 1, ["a", "b"], [[1], 2], [10**30, 1], {"row": 1}):
            for action in ("update", "delete"):
                with self.subTest(pk, action=action), self.assertRaises(InvalidFrame):
                    self.send(binding, action=action, pk=pk, data={})
        self.send(binding, action="delete", pk=[1, 2])
        heard = [(action, pk, data["guest"]) for action, pk, data in listener.heard()]
        self.assertEqual(
            heard, [("create", [1, 2], "x"), ("update", [1, 2], "y"), ("delete", [1, 2], "y")]
        )


class TestAtTheCommit(TransactionChannelTestCase):
    """As the admin saves: the row, then its relations, in one transaction."""

    def setUp(self):
        self.listener = Listener("room-a")
        self.tag = Tag.objects.create(name="t")

    def test_relations_are_sent_as_they_are_then(self):
        declare(fields=("title", "tags"))
        with transaction.atomic():
            card = Card.objects.create(title="x")
            card.tags.set([self.tag])
            card.title = "never saved"
        with transaction.atomic():
            card = Card.objects.get()
            card.save()
            card.tags.clear()
        self.assertEqual(
            self.listener.heard(),
            [
                ("create", card.pk, {"title": "x", "tags": [self.tag.pk]}),
                ("update", card.pk, {"title": "x", "tags": []}),
            ],
        )

    def test_messages_keep_their_order_and_a_row_that_is_gone_by_then_raises_nothing(self):
        declare(fields=("tags",))
        with transaction.atomic():
            card = Card.objects.create()
            card.tags.set([self.tag])
            card.save()
            card.delete()
        self.assertEqual(self.listener.actions(), ["create", "update", "delete"])


@contextmanager
def other_database() -> Iterator[None]:
    """A second database, "other"."""
    connections.settings["other"] = {**connections.settings["default"], "NAME": ":memory:"}
    try:
        call_command("migrate", database="other", run_syncdb=True, verbosity=0)
        yield
    finally:
        connections["other"].close()
        del connections["other"], connections.settings["other"]


class TestTwoDatabases(TransactionChannelTestCase):
    databases: ClassVar = {"default", "other"}

    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(other_database())
        super().setUpClass()

    def setUp(self):
        self.a, self.b = Listener("room-a"), Listener("room-b")
        Card.objects.create(pk=5, room="a", title="default")
        Card.objects.using("other").create(pk=5, room="b", title="other")

    def test_a_row_is_compared_with_the_one_of_the_database_that_it_is_saved_to(self):
        declare()
        Card.objects.using("other").get().save(using="default")
        self.assertEqual(self.a.heard(), [("delete", 5, {"room": "a", "title": "default"})])
        self.assertEqual(self.b.heard(), [("create", 5, {"room": "b", "title": "other"})])

    def test_what_was_not_saved_is_read_from_the_database_that_was_saved_to(self):
        declare(fields=("room", "title", "tags"))
        card = Card.objects.get()
        tag = Tag.objects.using("other").create(name="t")
        Card.objects.using("other").get().tags.add(tag)
        card.title = "new"
        card.save(using="other", update_fields=["title"])
        data = {"room": "b", "title": "new", "tags": [tag.pk]}
        self.assertEqual(self.b.heard(), [("update", 5, data)])
        self.assertEqual(self.a.heard(), [])

    def test_a_deletion_is_of_the_row_in_its_database(self):
        declare()
        card = Card.objects.get()
        card.title = "never saved"
        card.delete(using="other")
        self.assertEqual(self.b.heard(), [("delete", 5, {"room": "b", "title": "other"})])
        self.assertEqual(self.a.heard(), [])

    def test_a_database_for_reading_that_lags_is_not_asked(self):
        class Replica:
            def db_for_read(self, model: Any, **hints: Any) -> str:
                return "other"

            def db_for_write(self, model: Any, **hints: Any) -> str:
                return "default"

        listener = Listener("tags")
        declare(fields=("title", "tags"), group_names=everybody("tags"))
        tag = Tag.objects.create(name="t")
        with override_settings(DATABASE_ROUTERS=[Replica()]):
            card = Card.objects.using("default").get()
            card.tags.add(tag)
            card.hidden = True
            card.save(update_fields=["hidden"])
        data = {"title": "default", "tags": [tag.pk]}
        self.assertEqual(listener.heard(), [("update", 5, data)])

    def test_a_message_waits_for_the_commit_of_its_database(self):
        declare()
        with transaction.atomic(using="other"):
            with transaction.atomic():
                Card.objects.using("other").get().save()
            self.assertEqual(self.b.heard(), [])
        self.assertEqual(self.b.actions(), ["update"])


class TestFromClients(Inbound):
    def test_the_message_has_the_relations_that_the_client_set(self):
        one, two = Tag.objects.create(name="1"), Tag.objects.create(name="2")
        listener = Listener("room-a")
        binding = declare(fields=("title", "tags"))
        self.send(binding, action="create", data={"title": "x", "tags": [one.pk]})
        card = Card.objects.get()
        self.send(binding, action="update", pk=card.pk, data={"tags": [two.pk]})
        self.assertEqual(
            listener.heard(),
            [
                ("create", card.pk, {"title": "x", "tags": [one.pk]}),
                ("update", card.pk, {"title": "x", "tags": [two.pk]}),
            ],
        )

    def test_what_a_receiver_changes_in_memory_meanwhile_is_not_sent(self):
        def change(instance: Any, **kwargs: Any) -> None:
            instance.room, instance.title = "b", "never saved"

        m2m_changed.connect(change, sender=Card.tags.through)
        self.addCleanup(m2m_changed.disconnect, change, sender=Card.tags.through)
        a, b = Listener("room-a"), Listener("room-b")
        tag = Tag.objects.create(name="1")
        binding = declare(fields=("title", "tags"))
        self.send(binding, action="create", data={"title": "x", "tags": [tag.pk]})
        pk = Card.objects.get().pk
        self.assertEqual(a.heard(), [("create", pk, {"title": "x", "tags": [tag.pk]})])
        self.assertEqual(b.heard(), [])

    def test_a_number_that_json_lacks_is_refused(self):
        binding = declare(fields=("title",))
        for number in ("NaN", "-Infinity", "1e999"):
            with self.subTest(number), self.assertRaises(InvalidFrame):
                payload = f'{{"action": "create", "data": {{"title": {number}}}}}'
                self.send_text(binding, f'{{"stream": "s", "payload": {payload}}}')
        self.assertFalse(Card.objects.exists())

    def test_nor_is_the_text_of_one_taken_for_a_number(self):
        binding = declare(model=Reading, fields=("value", "amount"), group_names=everybody("r"))
        for name in ("value", "amount"):
            for text in ("NaN", "Infinity", "-inf"):
                with self.subTest(name=name, text=text), self.assertRaises(InvalidFrame):
                    self.send(binding, action="create", data={name: text})
        self.assertFalse(Reading.objects.exists())

    def send_text(self, binding: Any, text: str) -> None:
        class Demultiplexer(WebsocketDemultiplexer):
            consumers: ClassVar = {"s": binding.consumer}

        with apply_routes([Demultiplexer.as_route()]):
            self.client_.send_and_consume("websocket.receive", text=text, path="/")
