from channels import Group
from channels.exceptions import ConsumeLater

from ..models import Lot


def take_bid(message):
    lot = Lot.objects.filter(pk=message["lot"]).first()
    if lot is None:
        raise ConsumeLater()
    if message["amount"] > lot.bid:
        lot.bid = message["amount"]
        lot.save()
        Group("lots").send({"text": "%s:%s" % (lot.pk, lot.bid)})
