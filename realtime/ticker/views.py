"""The page, and what its button does."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from djchan import Group
from realtime.ticker import feed
from realtime.ticker.models import Headline

HeadlineForm = forms.modelform_factory(Headline, fields=("text",))


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    form = HeadlineForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        headline = Headline.publish(form.cleaned_data["text"])
        Group(feed.GROUP).send(feed.more(feed.events([headline])))
        return redirect("ticker:page")
    return render(
        request, "ticker/page.html", {"form": form}, status=400 if request.method == "POST" else 200
    )
