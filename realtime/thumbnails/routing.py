"""The sockets that follow a job: ``/ws/jobs/<job_id>/``."""

from djchan import include, route
from realtime.thumbnails import consumers

JOB_ID = r"(?P<job_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

of_a_job = [
    route("websocket.connect", consumers.job_connect),
    route("websocket.receive", consumers.job_receive),
    route("websocket.disconnect", consumers.job_disconnect),
]

channel_routing = [
    include(of_a_job, path=rf"^/ws/jobs/{JOB_ID}/$"),
]
