"""The page, and the ways to end a login."""

from django.urls import path

from realtime.logins import views

app_name = "logins"
urlpatterns = [
    path("", views.page, name="page"),
    path("end/<slug:how>/", views.end, name="end"),
]
