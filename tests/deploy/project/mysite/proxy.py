"""gunicorn leaves the address of its client to whoever knows the proxy: us."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

View = Callable[[HttpRequest], HttpResponse]


def remote_addr(get_response: View) -> View:
    """The address that nginx has set, and nobody but nginx can."""

    def middleware(request: HttpRequest) -> HttpResponse:
        address = request.META.get("HTTP_X_FORWARDED_FOR")
        if address:
            request.META["REMOTE_ADDR"] = address
        return get_response(request)

    return middleware
