"""The pages. Each system has its own ``urls``; their sockets are in ``realtime/routing.py``."""

from django.urls import include, path

from djchan.urls import websocket
from realtime import views
from realtime.clock.views import clock

urlpatterns = [
    path("", views.home, name="home"),
    path("source/<slug:name>/", views.source, name="source"),
    path("people/", include("realtime.people.urls")),
    path("echo/", include("realtime.echo.urls")),
    path("sheet/", include("realtime.sheet.urls")),
    path("rooms/", include("realtime.rooms.urls")),
    path("notifications/", include("realtime.notifications.urls")),
    path("tokens/", include("realtime.tokens.urls")),
    path("logins/", include("realtime.logins.urls")),
    path("scores/", include("realtime.scores.urls")),
    path("pingpong/", include("realtime.pingpong.urls")),
    path("together/", include("realtime.together.urls")),
    path("clock/", include("realtime.clock.urls")),
    websocket("ws/clock/", clock, name="ws-clock"),
    path("ticker/", include("realtime.ticker.urls")),
    path("thumbnails/", include("realtime.thumbnails.urls")),
]
