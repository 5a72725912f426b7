"""The pages of the thumbnails."""

from django.urls import path

from realtime.thumbnails import views

app_name = "thumbnails"
urlpatterns = [
    path("", views.upload, name="page"),
    path("<uuid:job_id>/", views.job, name="job"),
    path("<uuid:job_id>/thumbnails.zip", views.archive, name="archive"),
    path("<uuid:job_id>/<int:size>.webp", views.thumbnail, name="thumbnail"),
]
