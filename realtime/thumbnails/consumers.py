"""The progress of a job, for the page that shows it.

From ``realtime.thumbnails.routing``; what a page hears besides comes from the worker that
makes the thumbnails (``workers.consumers``), by the job's group.
"""

import json

from djchan import Group
from djchan.message import Message
from workers.models import Job


def job_connect(message: Message, job_id: str) -> None:
    message.reply_channel.send({"accept": True})
    Group(f"job-{job_id}").add(message.reply_channel)


def job_receive(message: Message, job_id: str) -> None:
    """Tell the present state to a page that asks for it (by any frame).

    The page asks once its socket is open. By then it is in the group, so that of what
    happens to the job nothing falls between this answer and the group's next message;
    an answer given in job_connect could be out of date before the page had joined.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        message.reply_channel.send({"close": 4404})
    else:
        message.reply_channel.send({"text": json.dumps(job.as_state())})


def job_disconnect(message: Message, job_id: str) -> None:
    Group(f"job-{job_id}").discard(message.reply_channel)
