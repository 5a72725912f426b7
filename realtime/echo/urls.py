"""The echo page."""

from django.urls import path

from realtime.echo import views

app_name = "echo"
urlpatterns = [path("", views.page, name="page")]
