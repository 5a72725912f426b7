"""The pages: everybody's, and the writer's, which is for the staff."""

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from realtime.scores.models import Match

# What a button of the writer's does.
CHANGES = {
    "home+1": {"home_goals": 1},
    "home-1": {"home_goals": -1},
    "away+1": {"away_goals": 1},
    "away-1": {"away_goals": -1},
    "minute+5": {"minute": 5},
}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return _page(request, "scores/page.html")


@require_http_methods(["GET", "HEAD", "POST"])
def write(request: HttpRequest) -> HttpResponse:
    if request.method != "POST" and not request.user.is_authenticated:
        return redirect_to_login(request.path)
    # Here, and not by hiding a button: anybody can send a POST.
    if not getattr(request.user, "is_staff", False):
        return _page(request, "scores/not_staff.html", status=403)
    if request.method != "POST":
        return _page(request, "scores/write.html")
    match = get_object_or_404(Match, slug=request.POST.get("match", ""))
    change, seen = CHANGES.get(request.POST.get("change", "")), request.POST.get("revision", "")
    if change is None or not (seen.isascii() and seen.isdigit() and len(seen) < 10):
        return HttpResponse("This form is not ours.", status=400, content_type="text/plain")
    if not match.change(seen=int(seen), **change):
        # Somebody else wrote since this page was made, or the button was pressed twice.
        return _page(request, "scores/write.html", status=409, refused=match)
    return redirect("scores:write")


def _page(request: HttpRequest, template: str, *, status: int = 200, **more: Match) -> HttpResponse:
    context = {"matches": Match.objects.all(), **more}
    return render(request, template, context, status=status)
