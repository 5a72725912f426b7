from django.urls import re_path

from rooms.views import lobby

urlpatterns = [re_path(r"^$", lobby)]
