"""Consumers, views and bindings: what is told of them, and where."""

import textwrap

from djchan.upgrade.consumers import notes
from djchan.upgrade.modules import Module, Project, parsed


def told(files: dict[str, str]) -> list[tuple[str, int, str]]:
    read = []
    for path, text in files.items():
        text = textwrap.dedent(text)
        tree = parsed(text)
        assert tree is not None
        read.append(Module(path, text, tree))
    return sorted(notes(Project(read)))


def about(word: str, files: dict[str, str]) -> list[tuple[str, int]]:
    return [(path, line) for path, line, sentence in told(files) if word in sentence]


ROUTING = """
    from channels import route
    from .consumers import ws_connect
    routing = [route("websocket.connect", ws_connect)]
"""


class TestConnect:
    def test_one_that_never_accepts(self):
        files = {
            "chat/routing.py": ROUTING,
            "chat/consumers.py": """
                from channels import Group

                def ws_connect(message):
                    Group("x").add(message.reply_channel)
            """,
        }

        assert about("never to accept", files) == [("chat/consumers.py", 4)]

    def test_those_that_answer(self):
        for body in (
            'message.reply_channel.send({"accept": True})',
            'message.reply_channel.send({"text": "hi"})',
            "accept(message)",
            "helper(message=message)",
        ):
            files = {
                "routing.py": """
                    from djchan.routing import route
                    routing = [route("websocket.connect", "chat.consumers.ws_connect")]
                """,
                "chat/consumers.py": f"def ws_connect(message):\n    {body}\n",
            }

            assert about("never to accept", files) == []

    def test_in_a_dict_of_routes_and_another_folder(self):
        files = {
            "src/shop/routing.py": """
                from shop import consumers
                routing = {"websocket.connect": consumers.opened, "x": 3}
            """,
            "src/shop/consumers.py": "def opened(message): pass\n",
        }

        assert about("opened seems never", files) == [("src/shop/consumers.py", 1)]

    def test_of_another_channel(self):
        files = {
            "chat/routing.py": ROUTING.replace("websocket.connect", "websocket.receive"),
            "chat/consumers.py": "def ws_connect(message): pass\n",
        }

        assert told(files) == []

    def test_of_a_class(self):
        files = {
            "a/base.py": """
                from channels.generic.websockets import JsonWebsocketConsumer
                class Base(JsonWebsocketConsumer):
                    any_origin = True
            """,
            "a/consumers.py": """
                from .base import Base

                class Silent(Base):
                    def connect(self, message, **kwargs):
                        self.room = 1

                class Loud(Base):
                    def connect(self, message, **kwargs):
                        super().connect(message, **kwargs)

                class Plain(Base):
                    pass

                class Stream(Base):
                    def connect(self, message, **kwargs):
                        pass

                class Demultiplexer(WebsocketDemultiplexer):
                    consumers = {"a": Stream}
            """,
        }

        assert about("never to accept", files) == [("a/consumers.py", 5)]

    def test_origins_of_other_sites(self):
        files = {
            "chat/routing.py": """
                from channels import route, route_class
                from .consumers import one, two, Three, Four
                routing = [
                    route("websocket.connect", one),
                    route("websocket.connect", two),
                    route_class(Three, path="/x"),
                    Four.as_route(path="/y"),
                ]
            """,
            "chat/consumers.py": """
                from channels.generic.websockets import WebsocketConsumer
                from channels.security.websockets import allowed_hosts_only

                @allowed_hosts_only
                def one(message): message.reply_channel.send({"accept": True})

                def two(message): message.reply_channel.send({"accept": True})

                class Three(WebsocketConsumer): pass

                class Four(WebsocketConsumer):
                    any_origin = True
            """,
        }

        assert about("ALLOWED_HOSTS", files) == [
            ("chat/consumers.py", 8),
            ("chat/consumers.py", 10),
        ]

    def test_consumers_of_tests_meet_no_browser(self):
        files = {"chat/tests/test_x.py": "def c(message): pass\nr = {'websocket.connect': c}\n"}

        assert told(files) == []


def test_ordering():
    files = {
        "a.py": """
            from channels.sessions import enforce_ordering

            @enforce_ordering
            def one(message): pass

            @enforce_ordering(slight=False)
            def two(message): pass

            class Three:
                strict_ordering = True

            class Four:
                strict_ordering = False
        """
    }

    assert about("costs nothing", files) == [("a.py", 4), ("a.py", 7), ("a.py", 11)]


def test_consume_later():
    files = {
        "a.py": """
            from channels import exceptions
            def one(message): raise exceptions.ConsumeLater()
            def two(message): raise ConsumeLater
        """
    }

    assert about("ConsumeLater", files) == [("a.py", 3)]


def test_sends_of_views():
    files = {
        "views.py": """
            from djchan import Channel

            def view(request):
                Channel("x").send({})
                mail.send({})

            class View:
                def get(self, request):
                    Channel("x").send({})

            def consumer(message):
                Channel("x").send({})
        """
    }

    assert about("on_commit", files) == [("views.py", 5), ("views.py", 10)]


def test_bindings():
    files = {
        "bindings.py": """
            from channels.binding.websockets import WebsocketBinding

            class Base(WebsocketBinding):
                model = None

            class Old(WebsocketBinding):
                model = Value

            class Named(Base):
                model = Value
                fields = ["name"]
        """
    }

    assert about("neither fields", files) == [("bindings.py", 7)]
    assert about("stored row", files) == [("bindings.py", 10)]
