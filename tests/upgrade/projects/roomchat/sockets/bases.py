from channels.generic.websockets import JsonWebsocketConsumer as _Json

from .mixins import *


class SiteConsumer(_Json):
    http_user = True
    strict_ordering = True

    def welcome(self):
        self.message.reply_channel.send({"accept": True})


class StaffConsumer(SiteConsumer):
    def connect(self, message, **kwargs):
        if not message.user.is_staff:
            self.close()
