"""Consumers of custom channels: work that no socket should wait for.

From ``Channel("thumbnails").send({"job": id})`` in ``realtime.views``; on to the group of
the sockets that watch the job (``realtime.consumers``).

A message is run at least once: again when a worker died in the middle of it. Sends are
applied once all the same, but files and rows are outside of what djchan can undo, so a
consumer like this one looks what is there already (``message.id`` is the same each time).
"""

import json
import logging
import uuid

from djchan import Group
from djchan.exceptions import BrokerError, Fenced
from djchan.message import Message
from workers import images
from workers.models import Job

logger = logging.getLogger(__name__)


def make_thumbnails(message: Message) -> None:
    """Make the thumbnails of a job, smallest first, telling its group after each."""
    job = find(message.get("job"))
    if job is None:
        logger.warning("There is no job %r; message %s dropped.", message.get("job"), message.id)
        return
    if not job.begin(message.id):
        # Done, perhaps by a run that died before it could say so; or sent for twice.
        announce(job)
        return
    announce(job, immediately=True)
    try:
        make_missing(job)
    except images.ImageRefused as refusal:
        job.fail(str(refusal))
    except Fenced:
        raise  # Taken for dead, this run was given to another worker: the job is theirs.
    except Exception:
        job.fail("Something went wrong here. It was logged.")
        announce(job, immediately=True)
        raise
    else:
        job.finish()
    announce(job)


def make_missing(job: Job) -> None:
    made = {thumbnail.size for thumbnail in job.thumbnails.all()}
    missing = [size for size in images.SIZES if size not in made]
    if not missing:
        return
    with job.image.open() as file:
        image = images.read(file)
    for size in missing:
        width, height = images.shrink(image, size, job.thumbnail_path(size))
        job.add(size, width, height)
        announce(job, immediately=True)


def announce(job: Job, *, immediately: bool = False) -> None:
    """Tell every page that shows this job its present state.

    What a consumer sends leaves when it has returned; progress should not wait for that.
    """
    state = {"text": json.dumps(job.as_state())}
    try:
        Group(job.group_name).send(state, immediately=immediately)
    except BrokerError as error:
        # The work goes on without: the job's row has it, and a page that comes back asks.
        logger.warning("The progress of job %s was not told: %s", job.pk, error)


def find(job_id: object) -> Job | None:
    """The job with this id; None if there is none, or if this is no id."""
    try:
        return Job.objects.filter(pk=uuid.UUID(str(job_id))).first()
    except ValueError:
        return None
