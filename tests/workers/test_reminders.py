"""A reminder by its consumer, which may be run twice."""

import pytest

from realtime.notifications.models import Notification
from tests.realtime.site import lines, run

pytestmark = pytest.mark.django_db


def test_a_task_pushes_as_anything_else(sent, django_user_model):
    bob = django_user_model.objects.create_user("bob")
    run("reminders", {"user": bob.pk, "text": "hello"})
    assert [call.to for call in sent] == [f"user_{bob.pk}"]
    assert lines(sent) == [{"kind": "new", "item": Notification.objects.get().as_item()}]
    assert Notification.objects.get().way == "task"


def test_run_again_it_pushes_the_same_one(sent, django_user_model):
    bob = django_user_model.objects.create_user("bob")
    for attempt in (1, 2):
        run("reminders", {"user": bob.pk, "text": "hello"}, id="m7", attempt=attempt)
    first, second = lines(sent)  # What the first sent did not leave, if its worker died.
    assert first == second
    assert Notification.objects.count() == 1
    run("reminders", {"user": bob.pk, "text": "hello"}, id="m8")
    assert Notification.objects.count() == 2


def test_nobody_is_left_to_remind(sent, caplog):
    run("reminders", {"user": 4711, "text": "hello"})
    assert sent == []
    assert "Nobody is left to remind; message m1 dropped." in caplog.text
