"""The page."""

from django.urls import path

from realtime.scores import views

app_name = "scores"
urlpatterns = [path("", views.page, name="page")]
