"""The page."""

from django.urls import path

from realtime.logins import views

app_name = "logins"
urlpatterns = [path("", views.page, name="page")]
