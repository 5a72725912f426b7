from channels.test import ChannelTestCase, HttpClient

from auctions.models import Lot


class BidTests(ChannelTestCase):
    def setUp(self):
        self.lot = Lot.objects.create(title="A clock")
        self.client_of_channels = HttpClient()

    def test_a_bid(self):
        self.client_of_channels.join_group("lots")
        response = self.client.post("/bid/%s/" % self.lot.pk, {"amount": "12"})
        self.assertEqual(response.status_code, 202)
        self.client_of_channels.consume("bids")
        self.assertEqual(self.client_of_channels.receive(json=False), "%s:12" % self.lot.pk)

    def test_a_lower_bid_is_no_bid(self):
        Lot.objects.update(bid=20)
        self.client.post("/bid/%s/" % self.lot.pk, {"amount": "12"})
        self.client_of_channels.consume("bids")
        self.assertEqual(Lot.objects.get().bid, 20)

    def test_the_page(self):
        self.assertContains(self.client.get("/"), "/static/auctions/app.js")
