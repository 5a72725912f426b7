"""The pages of the rooms."""

from django.urls import path, register_converter

from realtime.rooms import views
from realtime.rooms.lines import ROOM


class RoomConverter:
    regex = ROOM

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(RoomConverter, "room")

app_name = "rooms"
urlpatterns = [
    path("", views.rooms, name="page"),
    path("<room:room>/", views.room, name="room"),
]
