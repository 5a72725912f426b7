"""The page."""

from django.urls import path

from realtime.ticker import views

app_name = "ticker"
urlpatterns = [path("", views.page, name="page")]
