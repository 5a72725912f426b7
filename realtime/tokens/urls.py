"""The page."""

from django.urls import path

from realtime.tokens import views

app_name = "tokens"
urlpatterns = [path("", views.page, name="page")]
