"""The pages of the thumbnails: upload an image, watch the job, see what was made.

The work itself is for a worker: see ``workers.consumers``.
"""

import io
import uuid
import zipfile
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from djchan import Channel
from djchan.exceptions import BrokerError, ChannelFull
from workers.forms import ImageForm
from workers.images import SIZES
from workers.models import KEEP, Job


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Take an image, hand it to the channel ``thumbnails``, show the page of the job."""
    if request.method != "POST":
        return _upload_page(request, ImageForm(), status=200)
    form = ImageForm(request.POST, request.FILES)
    if form.is_valid():
        image = form.cleaned_data["image"]
        Job.remove_old()
        job = Job(name=image.name[-100:])
        job.image.save(image.name, image)  # saves the job, too
        try:
            # on_commit, as a worker may take the message at once: by then the row is there.
            Channel("thumbnails").send({"job": str(job.pk)}, on_commit=True)
        except (ChannelFull, BrokerError):
            job.discard()
            form.add_error(None, "We are too busy now. Please try again in a minute.")
            return _upload_page(request, form, status=503)
        return redirect("thumbnails:job", job.pk)
    return _upload_page(request, form, status=400)


def _upload_page(request: HttpRequest, form: ImageForm, *, status: int) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "sizes": SIZES, "keep": KEEP}
    return render(request, "thumbnails/upload.html", context, status=status)


@require_safe
def job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Job, pk=job_id)
    return render(request, "thumbnails/job.html", {"job": found, "state": found.as_state()})


@require_safe
def thumbnail(request: HttpRequest, job_id: uuid.UUID, size: int) -> FileResponse:
    found = get_object_or_404(Job, pk=job_id)
    get_object_or_404(found.thumbnails, size=size)
    try:
        file = found.thumbnail_path(size).open("rb")
    except FileNotFoundError:
        raise Http404 from None
    response = FileResponse(file, content_type="image/webp")
    # The image under this address never changes.
    response["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@require_safe
def archive(request: HttpRequest, job_id: uuid.UUID) -> FileResponse:
    """All thumbnails of a job that is done, in one file: four at most, made small already."""
    found = get_object_or_404(Job, pk=job_id, state=Job.State.DONE)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for made in found.thumbnails.all():
            try:
                packed.write(found.thumbnail_path(made.size), f"{made.size}.webp")
            except FileNotFoundError:
                raise Http404 from None
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename="thumbnails.zip")
