"""Sign in with a password, or, where DEBUG is on, as one of three people by a click.

Of the three, Ada is on the staff: she may write where others only read.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

PEOPLE = {"ada": True, "bob": False, "eve": False}  # user name -> on the staff
BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignIn(LoginView):
    template_name = "people/sign_in.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(people=PEOPLE if settings.DEBUG else (), **kwargs)


@require_POST
def sign_in_as(request: HttpRequest) -> HttpResponse:
    """Sign in as the person whose name is posted, made at the first use."""
    name = request.POST.get("name", "")
    if not settings.DEBUG or name not in PEOPLE:
        raise Http404("Nobody of this name can sign in by a click.")
    user, _ = get_user_model().objects.update_or_create(
        username=name, defaults={"is_staff": PEOPLE[name], "is_active": True}
    )
    login(request, user, backend=BACKEND)
    return redirect(_next(request))


def _next(request: HttpRequest) -> str:
    """Where the form says to go on, if that is on this site."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return target
    return resolve_url(settings.LOGIN_REDIRECT_URL)
