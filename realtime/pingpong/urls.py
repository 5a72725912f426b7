"""The page."""

from django.urls import path

from realtime.pingpong import views

app_name = "pingpong"
urlpatterns = [path("", views.page, name="page")]
