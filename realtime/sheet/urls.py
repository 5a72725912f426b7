"""The page."""

from django.urls import path

from realtime.sheet import views

app_name = "sheet"
urlpatterns = [path("", views.page, name="page")]
