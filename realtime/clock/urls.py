"""The page."""

from django.urls import path

from realtime.clock import views

app_name = "clock"
urlpatterns = [path("", views.page, name="page")]
