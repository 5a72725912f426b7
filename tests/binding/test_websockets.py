"""djchan.binding.websockets: what travels, and what a client may do, through a demultiplexer."""

import itertools
import uuid
from typing import Any, ClassVar
from unittest import mock

from django.contrib.auth import get_user_model
from django.db import IntegrityError

from djchan import route
from djchan.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers
from djchan.exceptions import InvalidFrame
from djchan.generic.websockets import WebsocketDemultiplexer
from djchan.test import ChannelTestCase, WSClient, apply_routes
from tests.binding.declare import Listener, declare
from tests.binding.models import BigCard, Card, Key, Seat, Tag, Thin

User = get_user_model()


class TestWhatIsSent(ChannelTestCase):
    numbers = itertools.count()

    def sent(self, instance: Any = None, **attributes: Any) -> Any:
        group = f"cards-{next(self.numbers)}"
        listener = Listener(group)
        declare(group_names=classmethod(lambda cls, card: [group]), **attributes)
        instance = Card(title="x") if instance is None else instance
        instance.save()
        ((_, _, data),) = listener.heard()
        return data

    def test_the_envelope(self):
        client = WSClient()
        client.join_group("room-a")
        declare()
        card = Card.objects.create(title="x")
        payload = {
            "action": "create",
            "pk": card.pk,
            "data": {"room": "a", "title": "x"},
            "model": "binding.card",
        }
        self.assertEqual(client.receive(), {"stream": "cards", "payload": payload})

    def test_fields_and_exclude(self):
        every = {"room", "title", "hidden", "owner", "tags", "changed", "loud"}
        for attributes, names in (
            ({"fields": "__all__"}, every),
            ({"fields": ["__all__"]}, every),
            ({"fields": ("__all__",)}, every),
            ({"fields": None, "exclude": ()}, every),
            ({"fields": None, "exclude": ("tags", "owner")}, every - {"tags", "owner"}),
            ({"fields": "__all__", "exclude": ("tags",)}, every - {"tags"}),
            ({"fields": ("title", "room"), "exclude": ("room",)}, {"title"}),
            ({"fields": ("owner", "nothing")}, {"owner"}),
            ({"fields": ()}, set()),
        ):
            with self.subTest(attributes):
                self.assertEqual(set(self.sent(**attributes)), names)

    def test_serialize_data_of_its_own(self):
        data = self.sent(serialize_data=lambda self, instance: {"n": instance.title})
        self.assertEqual(data, {"n": "x"})

    def test_members(self):
        owner = User.objects.create(username="ann")
        data = self.sent(
            Card(title="x", owner=owner),
            base=WebsocketBindingWithMembers,
            fields=("title",),
            send_members=["greeting", "shout", "shouted", "owner.username", "owner.get_username"],
        )
        self.assertEqual(
            data,
            {
                "title": "x",
                "greeting": "hello",
                "shout": "X",
                "shouted": "xx",
                "owner__username": "ann",
                "owner__get_username": "ann",
            },
        )

    def test_members_of_any_type_that_the_encoder_knows(self):
        data = self.sent(
            base=WebsocketBindingWithMembers, fields=("title",), send_members=["changed"]
        )
        self.assertRegex(data["changed"], r"^\d{4}-\d\d-\d\dT")

    def test_without_members(self):
        self.assertEqual(
            self.sent(base=WebsocketBindingWithMembers, fields=("title",)), {"title": "x"}
        )


class Inbound(ChannelTestCase):
    """Sends payloads as a browser does, to a binding behind a demultiplexer."""

    def setUp(self):
        self.client_ = WSClient()

    def send(self, binding: Any, path: str = "/", **payload: Any) -> Any:
        class Demultiplexer(WebsocketDemultiplexer):
            consumers: ClassVar = {"s": binding.consumer}

        frame = {"stream": "s", "payload": payload}
        with apply_routes([Demultiplexer.as_route(path=r"^/(?P<room>\w+)?")]):
            return self.client_.send_and_consume("websocket.receive", text=frame, path=path)


class TestWhatAClientMayDo(Inbound):
    def test_create_update_delete(self):
        binding = declare()
        self.send(binding, action="create", data={"title": "x", "room": "b"})
        card = Card.objects.get()
        self.assertEqual((card.title, card.room), ("x", "b"))
        self.send(binding, action="update", pk=card.pk, data={"title": "y"})
        card = Card.objects.get()
        self.assertEqual((card.title, card.room), ("y", "b"))
        self.send(binding, action="delete", pk=card.pk)
        self.assertEqual(Card.objects.count(), 0)

    def test_others_hear_of_it(self):
        listener = Listener("room-a")
        binding = declare()
        self.send(binding, action="create", data={"title": "x"})
        (card,) = Card.objects.all()
        self.send(binding, action="update", pk=card.pk, data={"title": "y"})
        self.send(binding, action="delete", pk=card.pk)
        self.assertEqual(listener.actions(), ["create", "update", "delete"])

    def test_connect_and_disconnect_are_not_for_the_binding(self):
        asked = []
        binding = declare(has_permission=lambda *args: asked.append(args))

        class Demultiplexer(WebsocketDemultiplexer):
            consumers: ClassVar = {"s": binding.consumer}
            groups = ("room-a",)

        with apply_routes([Demultiplexer.as_route(path="^/(?P<room>[a-z]*)")]):
            consumer = self.client_.send_and_consume("websocket.connect", path="/x")
            self.assertEqual(consumer.kwargs, {"room": "x"})
            self.client_.send_and_consume("websocket.disconnect", path="/x")
        self.assertEqual(asked, [])

    def test_without_permission_nothing_happens_and_nothing_is_answered(self):
        card = Card.objects.create(title="x")
        asked = []

        def has_permission(self: Any, user: Any, action: str, pk: Any) -> None:
            asked.append((user.is_anonymous, action, pk))

        binding = declare(has_permission=has_permission)
        self.send(binding, action="create", data={"title": "y"})
        self.send(binding, action="update", pk=card.pk, data={"title": "y"})
        self.send(binding, action="delete", pk=card.pk)
        self.assertEqual(
            asked, [(True, "create", None), (True, "update", card.pk), (True, "delete", card.pk)]
        )
        self.assertEqual([each.title for each in Card.objects.all()], ["x"])
        self.assertIsNone(self.client_.receive())

    def test_the_user_of_the_channel_session_is_asked_for(self):
        user = User.objects.create(username="ann")
        self.client_.force_login(user)
        asked = []
        binding = declare(has_permission=lambda self, user, action, pk: asked.append(user))

        class Demultiplexer(WebsocketDemultiplexer):
            consumers: ClassVar = {"s": binding.consumer}
            http_user = True

        frame = {"stream": "s", "payload": {"action": "create", "data": {}}}
        with apply_routes([Demultiplexer.as_route(path="^/")]):
            self.client_.send_and_consume("websocket.connect")
            self.client_.send_and_consume("websocket.receive", text=frame)
        self.assertEqual(asked, [user])

    def test_kwargs_of_the_route_reach_the_binding(self):
        seen = []
        binding = declare(create=lambda self, data: seen.append(self.kwargs))
        self.send(binding, path="/blue", action="create", data={})
        self.assertEqual(seen[0]["room"], "blue")
        self.assertEqual(seen[0]["multiplexer"].stream, "s")

    def test_on_a_route_without_a_demultiplexer(self):
        with apply_routes([route("websocket.receive", declare().consumer)]):
            self.client_.send_and_consume(
                "websocket.receive", text={"action": "create", "data": {"title": "x"}}
            )
        self.assertEqual(Card.objects.get().title, "x")

    def test_strict_ordering_wants_an_order(self):
        binding = declare(strict_ordering=True)
        with self.assertRaisesRegex(ValueError, "has no order"):
            self.send(binding, action="create", data={})
        self.client_ = WSClient(ordered=True)
        self.send(binding, action="create", data={"title": "x"})
        self.assertEqual(Card.objects.get().title, "x")

    def test_slight_ordering_is_refused(self):
        with self.assertRaisesRegex(ValueError, "Remove slight=True"):
            self.send(declare(slight_ordering=True), action="create", data={})

    def test_what_is_no_action(self):
        binding = declare()
        for payload, words in (
            ({}, "key action"),
            ({"pk": 1}, "key action"),
            ({"action": "drop"}, "Bad action 'drop'"),
            ({"action": ["create"]}, "Bad action"),
            ({"action": "create"}, "To create, data is a JSON object .* not None"),
            ({"action": "create", "data": [1]}, "not \\[1\\]"),
            ({"action": "update", "pk": 1, "data": "x"}, "To update, data"),
        ):
            with self.subTest(payload), self.assertRaisesRegex(ValueError, words):
                self.send(binding, **payload)
        for pk in (0, None, "x", {"a": 1}):
            for action in ("update", "delete"):
                with self.subTest(pk, action=action):
                    if action == "delete" and not isinstance(pk, dict | str):
                        self.send(binding, action=action, pk=pk, data={})
                        continue
                    with self.assertRaisesRegex(InvalidFrame, f"To {action}, pk is that of"):
                        self.send(binding, action=action, pk=pk, data={})
        with self.assertRaisesRegex(InvalidFrame, r"value it was given \(hidden\)"):
            self.send(declare(fields="__all__"), action="create", data={"hidden": "what"})
        self.assertEqual(Card.objects.count(), 0)

    def test_a_payload_that_is_no_object(self):
        with (
            apply_routes([route("websocket.receive", declare().consumer)]),
            self.assertRaisesRegex(ValueError, r"key action.*not \[1\]"),
        ):
            self.client_.send_and_consume("websocket.receive", text=[1])


class TestWhichFieldsAClientMaySet(Inbound):
    def user(self, name: str = "test") -> Any:
        return User.objects.get(username=name)

    def users(self, **attributes: Any) -> Any:
        attributes = {"model": User, "fields": ("username", "email"), **attributes}
        return declare(group_names=classmethod(lambda cls, user: []), **attributes)

    def test_trap_b_on_create(self):
        data = {"username": "test", "email": "a@b.c", "is_superuser": True, "is_staff": True}
        with self.assertLogs("djchan.binding.websockets", "INFO") as logs:
            self.send(self.users(), action="create", data=data)
        user = self.user()
        self.assertEqual((user.email, user.is_superuser, user.is_staff), ("a@b.c", False, False))
        self.assertIn("'is_staff', 'is_superuser' on create", logs.output[0])

    def test_on_create_what_is_excluded(self):
        binding = self.users(fields=None, exclude=("is_superuser",))
        data = {"username": "test", "is_superuser": True, "is_staff": True}
        self.send(binding, action="create", data=data)
        self.assertEqual((self.user().is_superuser, self.user().is_staff), (False, True))

    def test_on_update(self):
        pk = User.objects.create(username="test").pk
        data = {"email": "a@b.c", "is_superuser": True, "is_staff": True}
        self.send(self.users(), action="update", pk=pk, data=data)
        self.assertEqual((self.user().email, self.user().is_superuser), ("a@b.c", False))
        self.send(
            self.users(fields=None, exclude=("is_superuser",)), action="update", pk=pk, data=data
        )
        self.assertEqual((self.user().is_superuser, self.user().is_staff), (False, True))

    def test_trap_c_all_works_inbound_too_however_it_is_written(self):
        for fields in ("__all__", ["__all__"], ("__all__",)):
            binding = declare(fields=fields)
            self.send(binding, action="create", data={"title": "x", "hidden": True})
            card = Card.objects.get()
            self.assertEqual((card.title, card.hidden), ("x", True))
            self.send(binding, action="update", pk=card.pk, data={"title": "y", "hidden": False})
            card = Card.objects.get()
            self.assertEqual((card.title, card.hidden), ("y", False))
            card.delete()

    def test_create_fields_opens_create_alone(self):
        for create_fields in ("__all__", ("username", "is_superuser")):
            binding = self.users(create_fields=create_fields)
            data = {"username": "test", "is_superuser": True}
            self.send(binding, action="create", data=data)
            user = self.user()
            self.assertTrue(user.is_superuser)
            self.send(binding, action="update", pk=user.pk, data={"is_superuser": False})
            self.assertTrue(self.user().is_superuser)
            user.delete()

    def test_names_that_are_no_fields_are_left_out(self):
        binding = declare(fields=("title", "shout"))
        self.send(binding, action="create", data={"title": "x", "shout": "X", "save": 1, "": 2})
        card = Card.objects.get()
        self.send(binding, action="update", pk=card.pk, data={"title": "y", "shout": "X", "_s": 1})
        self.assertEqual(Card.objects.get().title, "y")

    def test_an_excluded_relation_has_no_second_name(self):
        user = User.objects.create(username="ann")
        for attributes in ({"fields": None, "exclude": ("owner",)}, {"fields": ("title",)}):
            binding = declare(**attributes)
            self.send(binding, action="create", data={"owner_id": user.pk, "owner": user.pk})
            self.assertIsNone(Card.objects.get().owner)
            Card.objects.all().delete()

    def test_a_relation(self):
        user = User.objects.create(username="ann")
        for name in ("owner", "owner_id"):
            binding = declare(fields=(name,))
            self.send(binding, action="create", data={name: user.pk})
            card = Card.objects.get()
            self.assertEqual(card.owner, user)
            self.send(binding, action="update", pk=card.pk, data={name: None})
            self.assertIsNone(Card.objects.get().owner)
            card.delete()

    def test_many_to_many(self):
        tags = [Tag.objects.create(name=name) for name in "ab"]
        binding = declare(fields=("title", "tags"))
        self.send(binding, action="create", data={"title": "x", "tags": [tags[0].pk]})
        card = Card.objects.get()
        self.assertEqual(list(card.tags.all()), tags[:1])
        self.send(binding, action="update", pk=card.pk, data={"tags": [tag.pk for tag in tags]})
        self.assertEqual(list(card.tags.order_by("pk")), tags)
        self.send(declare(fields="__all__"), action="update", pk=card.pk, data={"tags": []})
        self.assertEqual(list(card.tags.all()), [])

    def test_a_save_whose_relations_fail_is_undone(self):
        card = Card.objects.create(title="x")
        binding = declare(fields=("title", "tags"))
        with (
            mock.patch.object(type(card.tags), "set", side_effect=ZeroDivisionError),
            self.assertRaises(ZeroDivisionError),
        ):
            self.send(binding, action="update", pk=card.pk, data={"title": "y", "tags": []})
        self.assertEqual(Card.objects.get().title, "x")

    def test_a_generated_field_is_not_set(self):
        listener = Listener("room-a")
        binding = declare(fields="__all__")
        self.send(binding, action="create", data={"title": "x", "loud": "FAKE"})
        self.assertEqual(Card.objects.get().loud, "X")
        self.assertNotIn("FAKE", str(listener.heard()))

    def test_create_runs_the_models_own_save(self):
        binding = declare(model=Thin, fields=("name",), group_names=classmethod(lambda cls, t: []))
        self.send(binding, action="create", data={"name": " x "})
        thin = Thin.all_of_them.get()
        self.assertEqual(thin.name, "x")
        self.send(binding, action="update", pk=thin.pk, data={"name": " y "})
        self.assertEqual(Thin.all_of_them.get().name, "y")
        self.send(binding, action="delete", pk=thin.pk)
        self.assertEqual(Thin.all_of_them.count(), 0)

    def test_a_field_that_sets_itself_on_save_is_set_on_create(self):
        self.send(declare(), action="create", data={"title": "x"})
        self.assertIsNotNone(Card.objects.get().changed)


class TestPrimaryKeys(Inbound):
    def test_of_all_fields_it_is_none(self):
        first, second = Card.objects.create(title="1"), Card.objects.create(title="2")
        for attributes in ({"fields": "__all__"}, {"fields": None, "exclude": ("room",)}):
            binding = declare(**attributes)
            for name in ("id", "pk"):
                data = {name: second.pk, "title": "x"}
                self.send(binding, action="create", data=data)
                self.assertEqual(Card.objects.exclude(pk__in=(first.pk, second.pk)).count(), 1)
                Card.objects.exclude(pk__in=(first.pk, second.pk)).delete()
                self.send(binding, action="update", pk=first.pk, data=data)
                self.assertEqual(
                    list(Card.objects.order_by("pk").values_list("pk", "title")),
                    [(first.pk, "x"), (second.pk, "2")],
                )

    def test_a_listed_one_counts_on_create_and_never_means_a_row_that_is_there(self):
        binding = declare(
            model=Key, fields=("id", "name"), group_names=classmethod(lambda cls, key: [])
        )
        pk = str(uuid.uuid4())
        self.send(binding, action="create", data={"id": pk, "name": "x"})
        self.assertEqual(str(Key.objects.get().pk), pk)
        with self.assertRaises(IntegrityError):
            self.send(binding, action="create", data={"id": pk, "name": "y"})

    def test_a_listed_one_is_left_out_on_update(self):
        binding = declare(
            model=Key, fields=("id", "name"), group_names=classmethod(lambda cls, key: [])
        )
        key = Key.objects.create(name="x")
        data = {"id": str(uuid.uuid4()), "name": "y"}
        self.send(binding, action="update", pk=str(key.pk), data=data)
        self.assertEqual(list(Key.objects.values_list("pk", "name")), [(key.pk, "y")])

    def test_a_default_makes_it(self):
        binding = declare(model=Key, fields="__all__", group_names=classmethod(lambda cls, key: []))
        self.send(binding, action="create", data={"name": "x", "id": str(uuid.uuid4())})
        self.assertEqual(Key.objects.get().name, "x")

    def test_a_natural_key_never_means_a_row_that_is_there(self):
        User.objects.create(username="admin", email="admin@b.c")
        binding = declare(
            model=User,
            fields=("username", "email", "password"),
            group_names=classmethod(lambda cls, user: []),
        )
        with self.assertRaises(IntegrityError):
            self.send(binding, action="create", data={"username": "admin", "email": "evil@b.c"})
        self.assertEqual(User.objects.get().email, "admin@b.c")

    def test_that_of_a_parent(self):
        parent = Card.objects.create(title="x")
        for fields in ("__all__", ("id", "title", "size"), ("card_ptr", "title")):
            binding = declare(
                model=BigCard, fields=fields, group_names=classmethod(lambda cls, card: [])
            )
            big = BigCard.objects.create(title="big")
            for name in ("id", "card_ptr", "card_ptr_id"):
                data = {name: parent.pk, "title": "y"}
                self.send(binding, action="update", pk=big.pk, data=data)
                self.assertEqual(BigCard.objects.get().pk, big.pk)
                self.assertEqual(Card.objects.get(pk=parent.pk).title, "x")
            big.delete()

    def test_that_of_a_parent_on_create(self):
        parent = Card.objects.create(title="x")
        binding = declare(
            model=BigCard, fields=("id", "title"), group_names=classmethod(lambda cls, card: [])
        )
        with self.assertRaises(IntegrityError):
            self.send(binding, action="create", data={"id": parent.pk, "title": "y"})

    def test_of_two_fields(self):
        binding = declare(model=Seat, fields="__all__", group_names=classmethod(lambda cls, s: []))
        self.send(binding, action="create", data={"row": 1, "number": 2, "guest": "x"})
        data = {"row": 9, "number": 9, "guest": "y"}
        self.send(binding, action="update", pk=[1, 2], data=data)
        seats = list(Seat.objects.values_list("row", "number", "guest"))
        self.assertEqual(seats, [(1, 2, "y")])
        with self.assertRaises(IntegrityError):
            self.send(binding, action="create", data={"row": 1, "number": 2, "guest": "z"})


def test_the_class_is_abstract():
    assert WebsocketBinding.get_registered_models() == []
    assert WebsocketBindingWithMembers.get_registered_models() == []
