"""The page, and what makes and revokes tokens."""

from django.urls import path

from realtime.tokens import views

app_name = "tokens"
urlpatterns = [
    path("", views.page, name="page"),
    path("make/", views.make, name="make"),
    path("<int:pk>/revoke/", views.revoke, name="revoke"),
]
