"""Messages in the database: due, sent, waiting again, and by one process only."""

import json
from datetime import timedelta
from io import StringIO
from unittest import mock

from django.core.management import call_command
from django.utils import timezone

from djchan import Channel
from djchan.delay.models import DelayedMessage
from djchan.exceptions import InvalidMessage
from djchan.test import ChannelTestCase


def saved(**fields):
    row = DelayedMessage(
        **{"content": json.dumps({"n": 1}), "channel_name": "x", "delay": 5000, **fields}
    )
    row.save()
    return row


class TestRows(ChannelTestCase):
    def test_delay_may_be_a_timedelta(self):
        saved(delay=timedelta(seconds=5))
        self.assertTrue(4000 < DelayedMessage.objects.get().delay <= 5000)

    def test_delay_sets_the_due_date_and_tells_it(self):
        before = timezone.now()
        row = saved()
        self.assertGreaterEqual(row.due_date, before + timedelta(seconds=5))
        self.assertTrue(4000 < DelayedMessage.objects.get().delay <= 5000)

    def test_is_due(self):
        row = saved()
        self.assertEqual(DelayedMessage.objects.is_due().count(), 0)
        later = row.due_date + timedelta(milliseconds=1)
        with mock.patch("django.utils.timezone.now", return_value=later):
            self.assertEqual(DelayedMessage.objects.is_due().count(), 1)

    def test_send_sends_and_deletes(self):
        saved().send()
        self.assertEqual(self.get_next_message("x", require=True).content, {"n": 1})
        self.assertEqual(DelayedMessage.objects.count(), 0)

    def test_a_full_channel_leaves_the_row_due_again_later(self):
        row = saved(delay=0)
        for _ in range(10):
            Channel("x").send({})
        row.send(requeue_delay=60_000)
        (kept,) = DelayedMessage.objects.all()
        self.assertTrue(50_000 < kept.delay <= 60_000)
        self.assertEqual(kept.content, row.content)

    def test_of_two_who_have_the_same_row_one_sends_it(self):
        saved()
        first, second = DelayedMessage.objects.get(), DelayedMessage.objects.get()
        first.send()
        second.send()
        self.assertIsNotNone(self.get_next_message("x"))
        self.assertIsNone(self.get_next_message("x"))

    def test_what_cannot_be_sent_leaves_the_row(self):
        row = saved(content=json.dumps({"__retries__": 1}))
        with self.assertRaises(InvalidMessage):
            row.send()
        self.assertEqual(DelayedMessage.objects.count(), 1)

    def test_the_migration_is_what_the_model_is(self):
        call_command("makemigrations", "djchan_delay", check=True, dry_run=True, stdout=StringIO())
        self.assertEqual(DelayedMessage._meta.label, "djchan_delay.DelayedMessage")
        self.assertEqual(DelayedMessage._meta.db_table, "djchan_delay_delayedmessage")
