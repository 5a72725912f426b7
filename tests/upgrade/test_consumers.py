"""Consumers and views: what is told of them, and where."""

import pytest

from djchan.upgrade.consumers import notes
from tests.support.upgrading import about as about_in
from tests.support.upgrading import project


def told(files: dict[str, str]) -> list[tuple[str, int, str]]:
    return sorted(notes(project(files)))


def about(word: str, files: dict[str, str]) -> list[tuple[str, int]]:
    return about_in(word, notes(project(files)))


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

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"settings.py": "ALLOWED_HOSTS = ['*']"}, False),
            ({"settings.py": "ALLOWED_HOSTS = []"}, True),
            ({"settings.py": "settings.configure(ALLOWED_HOSTS=['*'])"}, False),
            ({"a.py": "ALLOWED_HOSTS = []", "b.py": "ALLOWED_HOSTS = ['*']"}, False),
            ({"a.py": "ALLOWED_HOSTS = ['*']", "b.py": "ALLOWED_HOSTS = ['x.org']"}, True),
            ({"tests/settings.py": "ALLOWED_HOSTS = ['*']"}, True),
            ({"a.py": "ALLOWED_HOSTS = environ.get('HOSTS', '*').split(',')"}, True),
            ({"a.py": "ALLOWED_HOSTS = ['*'] if DEBUG else ['x.org']"}, True),
            ({"a.py": 'ALLOWED_HOSTS = ("*",)'}, False),
        ],
    )
    def test_where_all_hosts_are_allowed_no_page_is_refused(
        self, settings: dict[str, str], told: bool
    ):
        files = {
            "chat/routing.py": ROUTING,
            "chat/consumers.py": "def ws_connect(message): accept(message)\n",
            **settings,
        }

        assert bool(about("ALLOWED_HOSTS", files)) is told

    def test_consumers_of_tests_meet_no_browser(self):
        files = {"chat/tests/test_x.py": "def c(message): pass\nr = {'websocket.connect': c}\n"}

        assert told(files) == []


BASE = """
    from channels.generic.websockets import JsonWebsocketConsumer
    class Base(JsonWebsocketConsumer):
        def connect(self, message, **kwargs):
            self.room = 1
"""
# Where the class of sockets/base.py is imported from, in a project laid out in packages.
WAYS = {
    "its module": {"chat/consumers.py": "from sockets.base import Base"},
    "its package": {
        "sockets/__init__.py": "from .base import Base",
        "chat/consumers.py": "from sockets import Base",
    },
    "its package, all names": {
        "sockets/__init__.py": "from .base import *",
        "chat/consumers.py": "from sockets import *",
    },
    "several modules": {
        "sockets/__init__.py": "from sockets.api import Base",
        "sockets/api.py": "from .base import Base as Other\nBase = Other",
        "chat/base.py": "import sockets\nclass Base(sockets.Base): pass",
        "chat/consumers.py": "from .base import Base",
    },
    "an attempt": {
        "chat/consumers.py": "try:\n    from sockets.base import Base\nexcept ImportError: pass"
    },
    "a module of its package": {
        "lib/__init__.py": "from sockets import base",
        "chat/consumers.py": "from lib.base import Base",
    },
    "each other": {
        "sockets/__init__.py": "from chat.consumers import Base\nfrom .base import *",
        "chat/consumers.py": "from sockets.base import Base\nfrom sockets import *",
    },
}


class TestSharedBases:
    @pytest.mark.parametrize("way", WAYS)
    def test_a_base_is_found_wherever_it_is_imported_from(self, way: str):
        files = {"src/sockets/base.py": BASE, "routing.py": "route_class(Chat)\n"}
        files |= {f"src/{path}": text for path, text in WAYS[way].items()}
        files["src/chat/consumers.py"] += "\nclass Chat(Base): pass\n"
        files["routing.py"] = """
            from channels import route_class
            from chat.consumers import Chat
            routing = [route_class(Chat, path="/x")]
        """

        assert about("never to accept", files) == [("src/sockets/base.py", 4)]
        assert [path for path, _ in about("ALLOWED_HOSTS", files)] == ["src/chat/consumers.py"]

    def test_names_of_channels_that_a_package_hands_on(self):
        files = {
            "lib/__init__.py": "from channels.generic.websockets import *",
            "lib/more.py": "from channels.generic.websockets import WebsocketConsumer as Socket",
            "a.py": """
                from lib import JsonWebsocketConsumer
                class A(JsonWebsocketConsumer):
                    def connect(self, message): pass
            """,
            "b.py": """
                from lib.more import Socket
                Base = Socket
                class B(Base):
                    def connect(self, message): pass
            """,
        }

        assert about("never to accept", files) == [("a.py", 4), ("b.py", 5)]

    def test_what_a_base_decides_holds_for_all_that_are_made_of_it(self):
        files = {
            "sockets.py": """
                from channels.generic.websockets import WebsocketConsumer
                from channels.security.websockets import allowed_hosts_only
                class Open(WebsocketConsumer):
                    any_origin = True
                class Checked(WebsocketConsumer):
                    @allowed_hosts_only
                    def connect(self, message, **kwargs):
                        self.welcome()
                    def welcome(self):
                        self.message.reply_channel.send({"accept": True})
            """,
            "chat.py": """
                from sockets import Checked, Open
                class One(Open): pass
                class Two(Checked): pass
                class Three(Checked):
                    def welcome(self): pass
                routing = [route_class(One), route_class(Two), route_class(Three)]
            """,
        }

        assert about("ALLOWED_HOSTS", files) == []
        # Three.connect is Checked's, and calls a welcome() that does not accept.
        assert about("never to accept", files) == [("sockets.py", 8)]

    def test_a_base_whose_subclasses_connect_themselves(self):
        files = {
            "a.py": BASE
            + """
    class A(Base):
        def connect(self, message, **kwargs):
            message.reply_channel.send({"accept": True})
"""
        }

        assert about("never to accept", files) == []

    def test_consumers_that_are_decorated_by_hand(self):
        files = {
            "consumers.py": """
                from channels.security.websockets import allowed_hosts_only
                def opened(message): accept(message)
                def silent(message): pass
                one = allowed_hosts_only(opened)
                def two(message): accept(message)
                two = allowed_hosts_only(two)
            """,
            "routing.py": """
                from channels import route
                from channels.security.websockets import allowed_hosts_only
                from consumers import one, opened, silent, two
                routing = [
                    route("websocket.connect", one),
                    route("websocket.connect", two),
                    route("websocket.connect", allowed_hosts_only(opened)),
                    route("websocket.connect", allowed_hosts_only(silent)),
                ]
            """,
        }

        assert about("ALLOWED_HOSTS", files) == []
        assert about("never to accept", files) == [("consumers.py", 4)]


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


def test_reply_channels_that_are_compared_with_none():
    files = {
        "a.py": """
            import channels
            def one(message):
                if message.reply_channel is None: return
                if not self.message.reply_channel is not None: return
                if message.reply_channel == None or message.reply_channel: return
                if message.reply_channel == name or other is None: return
        """
    }

    assert about("never None now", files) == [("a.py", 4), ("a.py", 5), ("a.py", 6)]


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
