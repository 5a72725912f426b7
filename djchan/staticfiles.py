"""Serve static files beside the views. For development only.

From ``runserver``, which routes ``http.request`` here; on to ``django.contrib.staticfiles``
for what lies below STATIC_URL, to the views for everything else.
"""

from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from django.conf import settings
from django.contrib.staticfiles import utils
from django.contrib.staticfiles.views import serve
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.exception import response_for_exception
from django.http import Http404, HttpRequest

from djchan.handler import AsgiHandler, ViewConsumer


class StaticFilesHandler(AsgiHandler):
    """As AsgiHandler; answers itself for what lies below STATIC_URL, unless that names a host."""

    # For receivers of request_finished, as with Django's own handlers of static files.
    handles_files = True

    def __init__(self) -> None:
        utils.check_settings()
        self.base_url = urlsplit(str(settings.STATIC_URL))
        super().__init__()

    def get_response(self, request: HttpRequest) -> Any:
        below = self.base_url.path
        if self.base_url.netloc or not request.path.startswith(below):
            return super().get_response(request)
        response = self.serve(request, url2pathname(request.path.removeprefix(below)))
        response._resource_closers.append(request.close)
        return response

    def serve(self, request: HttpRequest, path: str) -> Any:
        """The file at ``path``, as the finders of ``staticfiles`` find it; else 404, or 400."""
        try:
            return serve(request, path, insecure=True)
        except (Http404, SuspiciousOperation) as error:
            return response_for_exception(request, error)


class StaticFilesConsumer(ViewConsumer):
    """As ViewConsumer, with static files."""

    handler_class = StaticFilesHandler
