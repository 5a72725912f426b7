"""The pages of the scores: for readers, and for the writer."""

from django.urls import path

from realtime.scores import views

app_name = "scores"
urlpatterns = [
    path("", views.page, name="page"),
    path("write/", views.write, name="write"),
]
