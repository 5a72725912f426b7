"""djchan.binding.base: registration, who is told what, when it goes out, what may come in."""

from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.db.models.signals import post_save

import djchan.binding
from djchan import Group, route
from djchan.binding.base import CREATE, DELETE, UPDATE, Binding, BindingMetaclass
from djchan.binding.websockets import WebsocketBinding
from djchan.message import Message
from djchan.test import ChannelTestCase, Client, TransactionChannelTestCase, apply_routes
from tests.binding.declare import Listener, declare
from tests.binding.models import BigCard, Card, Key, Note, NoteBinding, ProxyCard, Tag


class Plain(Binding):
    """Of no protocol: a custom one, by the methods that a project writes."""

    model: Any = None
    stream = "plain"

    @classmethod
    def group_names(cls, instance: Any) -> list[str]:
        return ["plain"]

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        return {"stream": stream, **payload}

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        return {"action": action, "title": instance.title}

    def deserialize(self, message: Any) -> tuple[Any, Any, Any]:
        return message["action"], message.get("pk"), message.get("data")


class TestRegistration(ChannelTestCase):
    def test_the_words(self):
        self.assertEqual((CREATE, UPDATE, DELETE), ("create", "update", "delete"))
        self.assertIs(djchan.binding.Binding, Binding)

    def test_declared_before_apps_are_ready(self):
        listener = Listener("notes")
        note = Note.objects.create(text="x")
        self.assertIs(NoteBinding.model, Note)
        self.assertEqual(NoteBinding.model_label, "binding.note")
        self.assertEqual(listener.heard(), [("create", note.pk, {"text": "x"})])

    def test_declared_before_is_registered_by_register_all_and_once(self):
        with mock.patch.object(BindingMetaclass, "register_immediately", False):
            listener = Listener("room-a")
            binding = declare(model="binding.Card")
            Card.objects.create()
            self.assertEqual(binding.model, "binding.Card")
            self.assertEqual(listener.actions(), [])
            BindingMetaclass.register_all()
            self.assertTrue(BindingMetaclass.register_immediately)
            BindingMetaclass.register_all()
        self.assertIs(binding.model, Card)
        Card.objects.create()
        self.assertEqual(listener.actions(), ["create"])

    def test_declared_before_a_mistake_is_found_by_register_all(self):
        with mock.patch.object(BindingMetaclass, "register_immediately", False):
            declare(fields=None)
            with pytest.raises(ValueError, match="neither fields nor exclude"):
                BindingMetaclass.register_all()

    def test_declared_after_is_registered_at_once(self):
        listener = Listener("room-a")
        binding = declare(model="binding.Card")
        self.assertIs(binding.model, Card)
        self.assertEqual(binding.model_label, "binding.card")
        self.assertIn(binding, BindingMetaclass.binding_classes)
        Card.objects.create()
        self.assertEqual(listener.actions(), ["create"])

    def test_model_none_in_the_class_body_is_abstract(self):
        abstract = declare(model=None, fields=None)
        self.assertEqual(abstract.get_registered_models(), [])
        listener = Listener("room-a")
        declare(abstract)
        Card.objects.create()
        self.assertEqual(listener.actions(), ["create"])

    def test_a_mixin_is_no_binding(self):
        class Mixin:
            fields = ("title",)

        class Mixed(Mixin, Plain):
            model = Card

        self.assertEqual(Mixed.get_registered_models(), [Card])
        self.assertNotIn(Mixin, BindingMetaclass.binding_classes)

    def test_what_is_refused_and_then_is_nobodys(self):
        before = list(BindingMetaclass.binding_classes)
        for attributes, words in (
            ({"fields": None}, r"declare.CardBinding has neither fields nor exclude"),
            ({"fields": "title"}, r"fields of .* is the text 'title': make it a list"),
            ({"exclude": "__all__"}, r"exclude of .* is the text '__all__'"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                declare(**attributes)
        with self.assertRaisesRegex(ValueError, "has no model: set it, or model = None"):

            class Modelless(Plain):
                fields = ("title",)

        with self.assertRaisesRegex(LookupError, "model of the binding .*CardBinding: .*Nothing"):
            declare(model="binding.Nothing")
        self.assertEqual(BindingMetaclass.binding_classes, before)

    def test_several_bindings_of_one_model(self):
        first = Listener("room-a")
        second = Listener("all")
        declare()
        declare(fields=("title",), group_names=classmethod(lambda cls, card: ["all"]))
        card = Card.objects.create(title="x")
        self.assertEqual(first.heard(), [("create", card.pk, {"room": "a", "title": "x"})])
        self.assertEqual(second.heard(), [("create", card.pk, {"title": "x"})])

    def test_a_proxy_and_a_child_are_other_models(self):
        listener = Listener("room-a")
        declare()
        ProxyCard.objects.create()
        BigCard.objects.create()
        self.assertEqual(listener.heard(), [])
        declare(model=ProxyCard)
        ProxyCard.objects.create()
        self.assertEqual(listener.actions(), ["create"])


class TestWhoIsToldWhat(ChannelTestCase):
    def setUp(self):
        self.a, self.b = Listener("room-a"), Listener("room-b")

    def test_create_update_delete(self):
        declare()
        card = Card.objects.create(title="x")
        card.title = "y"
        card.save()
        pk = card.pk
        card.delete()
        self.assertEqual(
            self.a.heard(),
            [
                ("create", pk, {"room": "a", "title": "x"}),
                ("update", pk, {"room": "a", "title": "y"}),
                ("delete", pk, {"room": "a", "title": "y"}),
            ],
        )
        self.assertEqual(self.b.heard(), [])

    def test_trap_a_loaded_modified_and_saved_it_moves_from_group_to_group(self):
        pk = Card.objects.create(title="x").pk
        declare()
        card = Card.objects.get(pk=pk)
        card.room, card.title = "b", "y"
        card.save()
        # Those who lost sight of it are not shown what it is now.
        self.assertEqual(self.a.heard(), [("delete", pk, {"room": "a", "title": "x"})])
        self.assertEqual(self.b.heard(), [("create", pk, {"room": "b", "title": "y"})])
        card.save()
        self.assertEqual((self.a.actions(), self.b.actions()), ([], ["update"]))

    def test_one_who_is_in_both_groups_hears_delete_before_create(self):
        both = Listener("room-a", "room-b", "always")
        card = Card.objects.create()
        declare(group_names=classmethod(lambda cls, card: ["always", f"room-{card.room}"]))
        card.room = "b"
        card.save()
        self.assertEqual(both.actions(), ["delete", "update", "create"])

    def test_the_row_is_found_whatever_the_default_manager_hides(self):
        card = Card.objects.create(hidden=True)
        declare()
        card.room = "b"
        card.save()
        self.assertEqual((self.a.actions(), self.b.actions()), (["delete"], ["create"]))

    def test_a_row_that_is_saved_without_being_loaded(self):
        pk = Card.objects.create().pk
        declare()
        Card(pk=pk, room="b").save()
        self.assertEqual((self.a.actions(), self.b.actions()), (["delete"], ["create"]))
        Card(pk=pk, room="b").save()
        self.assertEqual((self.a.actions(), self.b.actions()), ([], ["update"]))

    def test_a_copy_is_a_creation(self):
        card = Card.objects.create()
        declare()
        card.pk = card.id = None
        card.save()
        self.assertEqual(self.a.actions(), ["create"])

    def test_an_instance_that_nobody_may_see_any_more_and_again(self):
        names = classmethod(lambda cls, card: [] if card.hidden else ["room-a"])
        card = Card.objects.create()
        declare(group_names=names)
        for hidden in (True, True, False, False):
            card.hidden = hidden
            card.save()
        self.assertEqual(self.a.actions(), ["delete", "create", "update"])

    def test_reads_stored_row_false_asks_the_instance_as_it_is(self):
        card = Card.objects.create()
        declare(reads_stored_row=False)
        card.room = "b"
        card.save()
        self.assertEqual((self.a.actions(), self.b.actions()), ([], ["update"]))

    def test_bindings_of_both_ways_beside_each_other(self):
        card = Card.objects.create(title="x")
        declare(reads_stored_row=False, stream="memory")
        declare()
        card.room, card.title = "b", "y"
        card.save()
        self.assertEqual(self.a.heard(), [("delete", card.pk, {"room": "a", "title": "x"})])
        self.assertEqual(self.b.actions(), ["update", "create"])

    def test_trap_d_update_and_bulk_send_nothing_and_can_be_told(self):
        binding = declare()
        pk = Card.objects.create().pk
        self.a.heard()
        Card.objects.filter(pk=pk).update(title="y")
        Card.objects.bulk_create([Card(title="z")])
        Card.objects.bulk_update(Card.objects.all(), ["title"])
        self.assertEqual(self.a.heard(), [])
        binding.post_change_receiver(Card.objects.get(pk=pk), UPDATE)
        self.assertEqual(self.a.heard(), [("update", pk, {"room": "a", "title": "y"})])
        binding.post_change_receiver(Card(room="b"), CREATE)
        self.assertEqual(self.b.actions(), ["create"])
        binding.post_change_receiver(Card(room="b"), DELETE)
        self.assertEqual(self.b.actions(), ["delete"])

    def test_the_delete_of_a_queryset_and_a_cascade_send(self):
        declare()
        Card.objects.create()
        BigCard.objects.create(room="b")
        Card.objects.all().delete()
        self.assertEqual(self.a.actions(), ["create", "delete"])
        # The row of its parent goes as one of Card.
        self.assertEqual(self.b.actions(), ["delete"])

    def test_signal_kwargs_are_there_while_it_is_sent(self):
        seen = []

        def serialize(self: Any, instance: Any, action: str) -> Any:
            seen.append((action, self.instance is instance, self.signal_kwargs))
            return {}

        declare(serialize=serialize)
        card = Card.objects.create()
        card.save(update_fields=["title"])
        card.delete()
        self.assertEqual(
            [(action, same) for action, same, _ in seen],
            [
                ("create", True),
                ("update", True),
                ("delete", True),
            ],
        )
        self.assertEqual(seen[1][2]["update_fields"], frozenset({"title"}))
        self.assertEqual(seen[2][2]["using"], "default")
        self.assertEqual(self.a.heard(), [])

    def test_a_binding_without_a_stream_or_methods_says_so(self):
        declare(stream=None)
        with self.assertRaisesRegex(AssertionError, "CardBinding has no stream"):
            Card.objects.create()
        for name in ("group_names", "serialize", "encode"):
            bare = type("Bare", (Binding,), {"model": None, "stream": "s"})
            with self.assertRaisesRegex(NotImplementedError, f"Bare needs a .*method {name}"):
                args = {"group_names": (None,), "serialize": (None, ""), "encode": ("s", {})}
                getattr(bare if name != "serialize" else bare(), name)(*args[name])

    def test_what_cannot_be_sent_raises_in_save(self):
        declare(group_names=classmethod(lambda cls, card: ["not a name"]))
        with self.assertRaisesRegex(TypeError, "not a name"):
            Card.objects.create()


class TestWhenItGoesOut(TransactionChannelTestCase):
    """trap_e: a message before the commit tells of a row that others cannot read yet."""

    def setUp(self):
        self.a = Listener("room-a")

    def test_trap_e_after_the_commit(self):
        declare()
        with transaction.atomic():
            card = Card.objects.create(title="x")
            card.title = "y"
            card.save()
            card.title = "never saved"
            self.assertEqual(self.a.heard(), [])
        heard = [(action, data["title"]) for action, _, data in self.a.heard()]
        self.assertEqual(heard, [("create", "x"), ("update", "y")])

    def test_without_a_transaction_at_once(self):
        declare()
        card = Card.objects.create()
        self.assertEqual(self.a.actions(), ["create"])
        card.delete()
        self.assertEqual(self.a.actions(), ["delete"])

    def test_what_is_rolled_back_is_never_sent(self):
        declare()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Card.objects.create(title="out")
            1 / 0  # noqa: B018
        with transaction.atomic():
            Card.objects.create(title="in")
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                Card.objects.create(title="inner")
                1 / 0  # noqa: B018
        self.assertEqual([data["title"] for _, _, data in self.a.heard()], ["in"])

    def test_what_cannot_be_sent_raises_in_the_transaction(self):
        declare(group_names=classmethod(lambda cls, card: ["not a name"]))
        with pytest.raises(TypeError, match="not a name"), transaction.atomic():
            Card.objects.create()
        self.assertEqual(Card.objects.count(), 0)

    def test_after_commit_false_sends_at_once(self):
        declare(after_commit=False)
        with transaction.atomic():
            Card.objects.create()
            self.assertEqual(self.a.actions(), ["create"])

    def test_a_transaction_managed_by_hand_sends_at_once(self):
        declare()
        connection.set_autocommit(False)
        try:
            Card.objects.create()
            self.assertEqual(self.a.actions(), ["create"])
            connection.rollback()
        finally:
            connection.set_autocommit(True)

    def test_in_a_consumer_it_is_a_part_of_its_outbox(self):
        declare()
        seen = []

        def consumer(message: Any) -> None:
            Group("room-a").send({"text": '{"payload": {"action": 1, "pk": 0, "data": {}}}'})
            with transaction.atomic():
                Card.objects.create()
            seen.append(self.a.heard())
            Group("room-a").send({"text": '{"payload": {"action": 2, "pk": 0, "data": {}}}'})

        with apply_routes([route("x", consumer)]):
            Client().send_and_consume("x")
        self.assertEqual(seen, [[]])
        self.assertEqual(self.a.actions(), [1, "create", 2])

    def test_a_consumer_whose_transaction_is_rolled_back_sends_nothing_of_it(self):
        declare()

        def consumer(message: Any) -> None:
            with transaction.atomic():
                Card.objects.create()
                raise ZeroDivisionError

        with apply_routes([route("x", consumer)]), pytest.raises(ZeroDivisionError):
            Client().send_and_consume("x")
        self.assertEqual(self.a.heard(), [])


class TestInTheTransactionOfATest(ChannelTestCase):
    def test_it_goes_out_at_once(self):
        declare()
        a = Listener("room-a")
        with transaction.atomic():
            Card.objects.create()
            self.assertEqual(a.actions(), ["create"])

    def test_an_async_consumer_has_its_saves_in_its_outbox(self):
        declare()
        a = Listener("room-a")
        seen = []

        async def consumer(message: Any) -> None:
            card = await Card.objects.acreate()
            card.title = "y"
            await card.asave()
            seen.append(a.heard())

        with apply_routes([route("x", consumer)]):
            Client().send_and_consume("x")
        self.assertEqual((seen, a.actions()), ([[]], ["create", "update"]))


class TestInbound(ChannelTestCase):
    def trigger(self, binding: Any, user: Any = None, **content: Any) -> None:
        message = Message(content, "plain", None)
        if user is not None:
            message.user = user
        binding.get_handler()(message, multiplexer=1)

    def binding(self, **attributes: Any) -> Any:
        done: list[Any] = []

        def has_permission(self: Any, user: Any, action: str, pk: Any) -> bool:
            done.append(("may", user, action, pk))
            return True

        body = {
            "has_permission": has_permission,
            "create": lambda self, data: done.append(("create", data)),
            "update": lambda self, pk, data: done.append(("update", pk, data)),
            "channel_session_user": False,
            **attributes,
        }
        binding = declare(Plain, group_names=classmethod(lambda cls, instance: []), **body)
        binding.done = done
        return binding

    def test_actions(self):
        binding = self.binding()
        nobody = AnonymousUser()
        self.trigger(binding, action="create", data={"n": 1})
        self.trigger(binding, user="someone", action="update", pk=1, data={"n": 2})
        self.assertEqual(
            binding.done,
            [
                ("may", nobody, "create", None),
                ("create", {"n": 1}),
                ("may", "someone", "update", 1),
                ("update", 1, {"n": 2}),
            ],
        )

    def test_delete(self):
        binding = self.binding()
        card, other = Card.objects.create(), Card.objects.create()
        self.trigger(binding, action="delete", pk=card.pk)
        self.trigger(binding, action="delete", pk=card.pk)
        self.trigger(binding, action="delete")
        self.assertEqual(list(Card.objects.all()), [other])

    def test_objects_is_the_manager_that_counts(self):
        card = Card.objects.create(hidden=True)
        self.trigger(self.binding(), action="delete", pk=card.pk)
        self.assertEqual(Card.objects.count(), 0)

    def test_what_the_user_may_not_do_is_dropped(self):
        card = Card.objects.create()
        for answer in (False, None, 0):
            binding = self.binding(
                has_permission=lambda self, user, action, pk, answer=answer: answer
            )
            for action in (CREATE, UPDATE, DELETE):
                self.trigger(binding, action=action, pk=card.pk, data={"title": "x"})
            self.assertEqual(binding.done, [])
        self.assertEqual(Card.objects.get().title, "")

    def test_without_has_permission_nothing_is_done(self):
        binding = self.binding(has_permission=Binding.has_permission)
        with self.assertRaisesRegex(NotImplementedError, "has_permission"):
            self.trigger(binding, action="create", data={})
        self.assertEqual(binding.done, [])

    def test_a_bad_action_is_refused_before_the_permission_is_asked(self):
        binding = self.binding()
        for action in ("drop", "CREATE", None, ["create"], {"create": 1}):
            with self.assertRaisesRegex(ValueError, "Bad action"):
                self.trigger(binding, action=action)
        self.assertEqual(binding.done, [])

    def test_what_a_custom_binding_must_have(self):
        bare = type("Bare", (Binding,), {"model": None})
        for name, args in (("deserialize", [None]), ("create", [{}]), ("update", [1, {}])):
            with self.assertRaisesRegex(NotImplementedError, f"Bare needs a method {name}"):
                getattr(bare(), name)(*args)

    def test_kwargs_of_the_route_are_kept_and_the_instance_knows_its_message(self):
        seen = []

        def create(self: Any, data: Any) -> None:
            seen.append((self.kwargs, self.action, self.pk, self.data, self.message["action"]))

        self.trigger(self.binding(create=create), action="create", data=5)
        self.assertEqual(seen, [({"multiplexer": 1}, "create", None, 5, "create")])

    def test_decorators(self):
        seen = []

        def create(self: Any, data: Any) -> None:
            session = getattr(self.message, "channel_session", None)
            seen.append((session is not None, hasattr(self.message, "user"), self.user))

        for session, user in ((False, False), (True, False), (False, True), (True, True)):
            binding = self.binding(
                create=create, channel_session=session, channel_session_user=user
            )
            with apply_routes([route("plain", binding.consumer)]):
                Client().send_and_consume("plain", {"action": "create"})
        nobody = AnonymousUser()
        self.assertEqual(
            seen,
            [
                (False, False, nobody),
                (True, False, nobody),
                (True, True, nobody),
                (True, True, nobody),
            ],
        )


def test_a_project_without_users_has_none(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if ".auth" not in app]
    seen = []
    binding = declare(
        Plain,
        fields=("title",),
        channel_session_user=False,
        has_permission=lambda self, user, action, pk: seen.append(user),
    )
    binding.consumer(Message({"action": "create"}, "plain", None))
    assert seen == [None]


class TestUUIDs(ChannelTestCase):
    def test_create_makes_no_query_for_a_key_that_was_just_made(self):
        listener = Listener("keys")
        declare(model=Key, fields=("name",), group_names=classmethod(lambda cls, key: ["keys"]))
        with self.assertNumQueries(1):
            key = Key.objects.create(name="x")
        self.assertEqual(listener.heard(), [("create", str(key.pk), {"name": "x"})])

    def test_related_rows_alone_send_nothing(self):
        declare()
        card = Card.objects.create()
        listener = Listener("room-a")
        card.tags.add(Tag.objects.create(name="t"))
        self.assertEqual(listener.heard(), [])


class TestOverridden(ChannelTestCase):
    def test_the_receivers_are_those_of_channels_1_and_can_be_disconnected(self):
        binding = declare()
        listener = Listener("room-a")
        self.assertTrue(post_save.disconnect(binding.post_save_receiver, sender=Card))
        Card.objects.create()
        self.assertEqual(listener.heard(), [])

    def test_an_override_with_the_signature_of_channels_1_is_called(self):
        called = []

        class Own(WebsocketBinding):
            model = Card
            stream = "own"
            fields = ("title",)

            @classmethod
            def group_names(cls, instance: Any) -> list[str]:
                return ["own"]

            @classmethod
            def pre_change_receiver(cls, instance: Any, action: str) -> None:
                called.append(action)
                super().pre_change_receiver(instance, action)

        card = Card.objects.create()
        card.save()
        card.delete()
        self.assertEqual(called, [CREATE, UPDATE, DELETE])
