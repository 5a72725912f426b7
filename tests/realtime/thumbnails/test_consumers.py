"""What a page that follows a job is told."""

import uuid

import pytest

from tests.realtime.site import SOCKET, Sent, lines, socket
from workers.models import Job

pytestmark = pytest.mark.django_db


class TestJob:
    def test_a_page_joins_before_it_asks(self, sent):
        job = Job.objects.create()
        path = f"/ws/jobs/{job.pk}/"
        socket("connect", path)
        assert [call[:3] for call in sent] == [
            ("send", SOCKET, {"accept": True}),
            ("add", f"job-{job.pk}", SOCKET),
        ]
        sent.clear()
        socket("receive", path, text="state")
        assert [call[:2] for call in sent] == [("send", SOCKET)]
        assert lines(sent) == [job.as_state()]

    def test_a_page_of_no_job_is_closed(self, sent):
        socket("receive", f"/ws/jobs/{uuid.uuid4()}/", text="state")
        assert sent == [Sent("send", SOCKET, {"close": 4404}, {})]

    def test_a_page_that_is_left_is_no_member(self, sent):
        job = Job.objects.create()
        socket("disconnect", f"/ws/jobs/{job.pk}/", code=1001)
        assert [call[:3] for call in sent] == [("discard", f"job-{job.pk}", SOCKET)]

    @pytest.mark.parametrize("job_id", ["", "1", "x" * 36, "-" * 36])
    def test_what_is_no_id_has_no_consumer(self, sent, job_id):
        socket("receive", f"/ws/jobs/{job_id}/", text="state")
        assert sent == []
