"""Serve static files beside the views. For development only.

From ``runserver``, which routes ``http.request`` here; on to ``django.contrib.staticfiles``
for what lies below STATIC_URL, to the views for everything else.
"""

from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from asgiref.sync import sync_to_async
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
        self.base_url = urlsplit(self.get_base_url())
        super().__init__()

    def get_base_url(self) -> str:
        """The URL that static files lie below."""
        utils.check_settings()
        return str(settings.STATIC_URL)

    def file_path(self, url: str) -> str:
        """The file that a request's path means, as the finders of ``staticfiles`` name it."""
        return url2pathname(url.removeprefix(self.base_url.path))

    def get_response(self, request: HttpRequest) -> Any:
        if self.base_url.netloc or not request.path.startswith(self.base_url.path):
            return super().get_response(request)
        response = self.serve(request)
        response._resource_closers.append(request.close)
        return response

    async def get_response_async(self, request: HttpRequest) -> Any:
        if self.base_url.netloc or not request.path.startswith(self.base_url.path):
            return await super().get_response_async(request)
        response = await sync_to_async(self.serve)(request)
        response._resource_closers.append(request.close)
        return response

    def serve(self, request: HttpRequest) -> Any:
        """The file that is asked for; else 404, or 400."""
        try:
            return serve(request, self.file_path(request.path), insecure=True)
        except (Http404, SuspiciousOperation) as error:
            return response_for_exception(request, error)


class StaticFilesConsumer(ViewConsumer):
    """As ViewConsumer, with static files."""

    handler_class = StaticFilesHandler
