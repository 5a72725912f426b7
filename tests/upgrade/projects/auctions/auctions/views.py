from channels import Channel
from django.http import HttpResponse
from django.template import Context, Template

from .models import Lot

PAGE = Template("""
{% load staticfiles %}<script src="{% static 'auctions/app.js' %}"></script>
{% for lot in lots %}<p>{{ lot.title }}: {{ lot.bid }}</p>{% endfor %}
""")


def lots(request):
    return HttpResponse(PAGE.render(Context({"lots": Lot.objects.all()})))


def bid(request, pk):
    Channel("bids").send({"lot": int(pk), "amount": int(request.POST["amount"])})
    return HttpResponse(status=202)
