"""The page, and the ways to notify somebody."""

from django.urls import path

from realtime.notifications import views

app_name = "notifications"
urlpatterns = [
    path("", views.page, name="page"),
    path("view/", views.from_the_view, name="view"),
    path("parcel/", views.send_parcel, name="parcel"),
    path("parcel/rolled-back/", views.roll_parcel_back, name="roll-back"),
    path("reminder/", views.remind_later, name="reminder"),
]
