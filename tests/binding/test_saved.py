"""What a binding sends is what was saved, whatever the instance in memory says."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from django.core.management import call_command
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.db.models.signals import post_save

from djchan.exceptions import InvalidFrame
from djchan.generic.websockets import WebsocketDemultiplexer
from djchan.test import ChannelTestCase, apply_routes
from tests.binding.declare import Listener, declare
from tests.binding.models import BigCard, Card, Tag
from tests.binding.test_changes import queries
from tests.binding.test_websockets import Inbound


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

    def test_a_number_that_json_lacks_is_refused(self):
        binding = declare(fields=("title",))
        for number in ("NaN", "-Infinity", "1e999"):
            with self.subTest(number), self.assertRaises(InvalidFrame):
                payload = f'{{"action": "create", "data": {{"title": {number}}}}}'
                self.send_text(binding, f'{{"stream": "s", "payload": {payload}}}')
        self.assertFalse(Card.objects.exists())

    def send_text(self, binding: Any, text: str) -> None:
        class Demultiplexer(WebsocketDemultiplexer):
            consumers: ClassVar = {"s": binding.consumer}

        with apply_routes([Demultiplexer.as_route()]):
            self.client_.send_and_consume("websocket.receive", text=text, path="/")
