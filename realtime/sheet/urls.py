"""The pages of the sheets."""

from django.urls import path

from realtime.sheet import views

app_name = "sheet"
urlpatterns = [
    path("", views.sheets, name="page"),
    path("<slug:name>/", views.sheet, name="sheet"),
]
