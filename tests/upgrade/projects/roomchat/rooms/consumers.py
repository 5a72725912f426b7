import sockets
from sockets import RoomMixin, SiteConsumer


class LobbyConsumer(sockets.StaffConsumer):
    def receive(self, content, **kwargs):
        self.send({"staff": self.message.user.username})


class RoomConsumer(RoomMixin, SiteConsumer):
    def connect(self, message, **kwargs):
        self.welcome()
        self.group_send("room-%s" % kwargs["slug"], {"joined": message.user.username})

    def receive(self, content, slug=None, **kwargs):
        self.group_send("room-%s" % slug, {"text": content["text"]})
