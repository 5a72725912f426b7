"""The page."""

from django.urls import path

from realtime.notifications import views

app_name = "notifications"
urlpatterns = [path("", views.page, name="page")]
