from django.urls import re_path
from django.contrib.auth.views import login, logout

from board import views

urlpatterns = [
    re_path(r'^$', views.index, name='index'),
    re_path(r'^post/$', views.post, name='post'),
    re_path(r'^login/$', login, name='login'),
    re_path(r'^logout/$', logout, {'next_page': '/'}, name='logout'),
]
