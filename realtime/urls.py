"""The pages. Their sockets are in ``realtime/routing.py``."""

from django.urls import path, register_converter

from realtime import views
from realtime.rooms import ROOM


class RoomConverter:
    regex = ROOM

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(RoomConverter, "room")

urlpatterns = [
    path("", views.home, name="home"),
    path("echo/", views.echo, name="echo"),
    path("rooms/", views.rooms, name="rooms"),
    path("rooms/<room:room>/", views.room, name="room"),
    path("thumbnails/", views.upload, name="upload"),
    path("thumbnails/<uuid:job_id>/", views.job, name="job"),
    path("thumbnails/<uuid:job_id>/<int:size>.webp", views.thumbnail, name="thumbnail"),
]
