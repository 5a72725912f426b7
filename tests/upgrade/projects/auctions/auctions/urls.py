from django.urls import re_path

from auctions.views import bid, lots

urlpatterns = [re_path(r"^$", lots), re_path(r"^bid/(\d+)/$", bid)]
