"""The page."""

from django.urls import path

from realtime.together import views

app_name = "together"
urlpatterns = [path("", views.page, name="page")]
