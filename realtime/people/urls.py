"""Sign in, sign out."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from realtime.people import views

app_name = "people"
urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/as/", views.sign_in_as, name="sign-in-as"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
]
