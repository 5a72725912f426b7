"""From a view, a signal, a command; the task is in tests/workers/test_reminders.py."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client

from djchan.exceptions import BrokerUnavailable
from realtime.notifications.models import Notification, Parcel
from tests.realtime.site import lines

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("site")]


@pytest.fixture
def bob(client, django_user_model, settings):
    settings.DEBUG = True
    user = django_user_model.objects.create_user("bob")
    client.force_login(user)
    return user


def ask(client: Client, way: str, **data: str):
    return client.post(f"/notifications/{way}/", {"to": "bob", "text": "hello", **data})


def texts(sent) -> list[str]:
    return [line["item"]["text"] for line in lines(sent)]


class TestViews:
    def test_the_view(self, client, bob, sent):
        assert ask(client, "view").json() == {"said": "Pushed from the view."}
        assert texts(sent) == ["hello"]
        assert [call.to for call in sent] == [f"user_{bob.pk}"]

    def test_the_signal(self, client, bob, sent):
        assert ask(client, "parcel").status_code == 200
        assert texts(sent) == ["A parcel for you: hello"]
        assert Notification.objects.get().way == "signal"

    def test_a_task_is_a_message_with_a_delay(self, client, bob, sent):
        assert ask(client, "reminder").status_code == 200
        (call,) = sent
        assert (call.to, call.what) == ("reminders", {"user": bob.pk, "text": "hello"})
        assert call.how == {"delay": 3, "on_commit": True}

    def test_to_somebody_who_never_came(self, client, bob, sent, django_user_model):
        assert ask(client, "view", to="eve").status_code == 200
        eve = django_user_model.objects.get(username="eve")
        assert [call.to for call in sent] == [f"user_{eve.pk}"]
        assert not eve.check_password("")

    @pytest.mark.parametrize("data", [{"text": " "}, {"text": "x" * 101}, {"to": "root"}])
    def test_what_is_refused_is_pushed_to_nobody(self, client, bob, sent, data):
        assert ask(client, "view", **data).status_code == 400
        assert sent == []

    def test_without_debug_to_oneself_alone(self, client, bob, sent, settings):
        settings.DEBUG = False
        assert ask(client, "view", to="ada").status_code == 400
        assert ask(client, "view").status_code == 200

    @pytest.mark.parametrize("way", ["view", "parcel", "parcel/rolled-back", "reminder"])
    def test_nobody_notifies_nobody(self, bob, sent, way):
        assert ask(Client(), way).status_code == 403
        assert sent == []

    def test_a_layer_that_does_not_answer(self, client, bob, monkeypatch):
        def send(*args, **kwargs):
            raise BrokerUnavailable

        monkeypatch.setattr("djchan.Channel.send", send)
        assert ask(client, "reminder").status_code == 503


@pytest.mark.django_db(transaction=True)
class TestCommit:
    """With real transactions, and the real Group.send up to the layer."""

    @pytest.fixture
    def left(self, monkeypatch):
        """What went to the layer, in order."""
        words = []
        monkeypatch.setattr("djchan.channel._send", lambda *args, **how: words.append(how))
        return words

    def test_it_leaves_after_the_commit(self, bob, left):
        with transaction.atomic():
            Parcel.objects.create(owner=bob, label="hello")
            assert left == []
        assert left == [{"group": f"user_{bob.pk}"}]

    def test_what_is_rolled_back_pushes_nothing(self, client, bob, left):
        assert ask(client, "parcel/rolled-back").json()["said"].startswith("Saved, and rolled back")
        assert left == []
        assert not Notification.objects.exists()
        assert not Parcel.objects.exists()


class TestCommand:
    def notify(self, *words: str) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        call_command("notify", *words, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    def test_pushes_and_says_whom_it_cannot_reach(self, bob, sent):
        out, err = self.notify("bob", "hello")
        assert out == "Kept for bob, and pushed.\n"
        assert "in memory" in err
        assert texts(sent) == ["hello"]

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("eve", "hello"), "Nobody is called 'eve'"),
            (("bob", " "), "has 0 characters"),
            (("bob", "x" * 201), "has 201 characters"),
        ],
    )
    def test_says_what_is_wrong(self, bob, sent, words, sentence):
        with pytest.raises(CommandError, match=sentence):
            self.notify(*words)
        assert sent == []
