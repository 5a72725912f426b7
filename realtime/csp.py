"""The header Content-Security-Policy, for Django before 6.0, which has a middleware of its own.

From ``realtime.settings``: SECURE_CSP is written as for Django 6.0, as far as it is used here.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

HEADER = "Content-Security-Policy"


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        # The pages that DEBUG shows for errors have styles and scripts in them.
        if not (settings.DEBUG and response.status_code in (404, 500)):
            policy = "; ".join(f"{name} {' '.join(of)}" for name, of in settings.SECURE_CSP.items())
            response.headers.setdefault(HEADER, policy)
        return response
