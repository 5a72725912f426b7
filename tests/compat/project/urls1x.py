from django.urls import path
from lines import views

urlpatterns = [
    path("post/<slug:slug>/<str:body>/", views.post),
    path("tell/<str:group>/", views.tell),
    path("who/", views.who),
    path("request/", views.show_request),
    path("upload/", views.upload),
    path("stream/", views.stream),
    path("slow/<str:seconds>/", views.slow),
    path("begun/", views.begun),
    path("later/<str:group>/", views.later),
]
