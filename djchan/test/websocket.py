"""``WSClient``: a ``Client`` with what a browser has, cookies, headers, a session, a user.

From a project's tests; on to ``test.client``, with the messages that an interface sends
(``djchan.interface.websocket``), but for the reply channel, which is a plain one.

The session, until somebody logs in, is the channel session of this client, and its cookie has
the same key: what it holds is copied to the HTTP session of that key when the cookie is
sent, for the two are kept in different places. A login gives it a new key, as it does in a
browser.
"""

import copy
import json as json_module
from collections.abc import Mapping
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from django.apps import apps
from django.conf import settings
from django.contrib import auth
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.encoding import iri_to_uri

from djchan import DEFAULT_CHANNEL_LAYER
from djchan.interface.websocket import CONNECT, DISCONNECT, NORMAL, RECEIVE
from djchan.sessions import session_for_reply_channel
from djchan.test.client import Client, in_thread

_NOTHING: Mapping[str, Any] = {}
_SESSIONS = "django.contrib.sessions"

# What a connect has beside path, query string and headers, as Django's test client has it.
_CONNECT: Mapping[str, Any] = {
    "client": ["127.0.0.1", 0],
    "server": ["testserver", 80],
    "scheme": "ws",
    "root_path": "",
}
_HOST = b"testserver"


class WSClient(Client):
    """``ordered``: number the messages (``order``), as an interface does."""

    def __init__(self, ordered: bool = False, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        super().__init__(alias)
        self.order = 0
        self._ordered = ordered
        self._session: Any = None
        self._headers: dict[str, Any] = {}
        self._cookies: dict[str, str] = {}
        self._sends_session = True

    # ------------------------------------------------------ headers and cookies

    def set_cookie(self, key: str, value: str) -> None:
        """Send this cookie from now on."""
        self._cookies[key] = value

    def get_cookies(self) -> dict[str, str]:
        """The cookies of the next message: that of the session goes with the first one only."""
        cookies = dict(self._cookies)
        if self._sends_session and apps.is_installed(_SESSIONS):
            cookies[settings.SESSION_COOKIE_NAME] = self.session.session_key
        return cookies

    def set_header(self, key: str, value: bytes) -> None:
        """Send this header from now on; its value is bytes."""
        if key.lower() == "cookie":
            raise ValueError("Use set_cookie() for a cookie, not the header.")
        if not isinstance(value, bytes):
            raise ValueError(f"The value of the header {key!r} is bytes, not {value!r}.")
        self._headers[key] = value

    @property
    def headers(self) -> dict[str, Any]:
        """The headers that are sent, the cookies among them."""
        headers = dict(self._headers)
        cookies = self.get_cookies()
        if cookies:
            headers["cookie"] = _encoded(cookies)
        return headers

    # ------------------------------------------------------ session and user

    @property
    def session(self) -> Any:
        """The session: save it after a change."""
        if self._session is None:
            if not apps.is_installed(_SESSIONS):
                raise ImproperlyConfigured(
                    f"WSClient.session needs {_SESSIONS!r} in INSTALLED_APPS."
                )
            self._session = session_for_reply_channel(
                self.reply_channel, channel_layer=self.channel_layer
            )
        return self._session

    def login(self, **credentials: Any) -> bool:
        """Log in with these credentials; whether that is a user who may."""
        user = auth.authenticate(**credentials)
        if user is None or not apps.is_installed(_SESSIONS):
            return False
        self._login(user)
        return True

    def force_login(self, user: Any, backend: str | None = None) -> None:
        """Log ``user`` in, without credentials."""
        self._login(user, backend or _first_backend())

    alogin = in_thread("login")
    aforce_login = in_thread("force_login")

    def _login(self, user: Any, backend: str | None = None) -> None:
        # A session of its own: the login gives it another key, and a channel's key must stay.
        session = _http_store()(session_key=self.session.session_key)
        session.update(self.session.items())
        request = HttpRequest()
        request.session = session
        auth.login(request, user, backend)
        session.save()
        self._session = session
        self._sends_session = True

    def _share_session(self) -> None:
        """Let our cookie mean our session also where channel sessions are kept elsewhere."""
        store = _http_store()
        if isinstance(self.session, store) or not list(self.session.keys()):
            return
        key = self.session.session_key
        session = store(session_key=key)
        session.update(self.session.items())
        # The store gives up a key that it has not given out itself.
        session._session_key = key
        session.save(must_create=not session.exists(key))

    # ------------------------------------------------------ messages

    def send(
        self, to: str, content: Mapping[str, Any] = _NOTHING, text: Any = None, path: str = "/"
    ) -> None:
        """Send a message to the channel ``to``, with what an interface would put into it.

        ``text`` goes as it is, and as JSON if it is no text. A ``websocket.connect`` has the
        query string of ``path``, the headers and the client; ``websocket.receive`` and
        ``websocket.disconnect`` have none of them, other channels the headers. What ``content``
        has stays.
        """
        if to != CONNECT:
            path = path.partition("?")[0]
        with_headers = to not in (RECEIVE, DISCONNECT)
        sent = self._get_content(content, text, path)
        if "path" not in content:
            sent["path"] = unquote(sent["path"])
        if "query_string" in sent and "query_string" not in content:
            sent["query_string"] = iri_to_uri(sent["query_string"]).encode("ascii")
        if "headers" not in content:
            headers = sent.pop("headers")
            if with_headers:
                sent["headers"] = _pairs(headers, host=to == CONNECT)
        if to == CONNECT:
            sent = {"query_string": b"", **copy.deepcopy(dict(_CONNECT)), **sent}
        elif to == DISCONNECT:
            sent.setdefault("code", NORMAL)
        if with_headers and self._sends_session and apps.is_installed(_SESSIONS):
            self._share_session()
        self.channel_layer.send(to, sent)
        if with_headers:
            self._sends_session = False
        if self._ordered:
            self.order += 1

    def consume(self, channel: str, fail_on_none: bool = True, check_accept: bool = True) -> Any:
        """As of ``Client``; a consumer of ``websocket.connect`` must accept, and nothing else."""
        value = super().consume(channel, fail_on_none=fail_on_none)
        if channel == CONNECT and check_accept:
            reply = self.receive(json=False)
            if reply != {"accept": True}:
                raise AssertionError(
                    f"The connection was not accepted: its first reply is {reply!r:.200}, not "
                    '{"accept": True}. With check_accept=False it is not looked at.'
                )
        return value

    def send_and_consume(  # type: ignore[override]  # As in Channels 1.x.
        self,
        channel: str,
        content: Mapping[str, Any] = _NOTHING,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """``send``, then ``consume``."""
        self.send(channel, content, text=text, path=path)
        return self.consume(channel, fail_on_none=fail_on_none, check_accept=check_accept)

    def receive(self, json: bool = True) -> Any:
        """The ``text`` of the next reply, decoded with ``json``; without one, the whole reply.

        None when there is no reply.
        """
        content = super().receive()
        if content is None:
            return None
        text = content.get("text")
        if text is None:
            return content
        return json_module.loads(text) if json and isinstance(text, str) else text

    def _get_content(
        self, content: Mapping[str, Any] = _NOTHING, text: Any = None, path: str = "/"
    ) -> dict[str, Any]:
        # Tests of Channels 1.x call it by this name.
        path, asked, query_string = path.partition("?")
        full = copy.deepcopy(dict(content))
        full.setdefault("reply_channel", self.reply_channel)
        full.setdefault("path", path)
        if asked:
            full.setdefault("query_string", query_string)
        full.setdefault("headers", self.headers)
        if self._ordered:
            if "order" in full:
                raise ValueError('This client is ordered: leave "order" out of the content.')
            full["order"] = self.order
        if text is not None:
            full["text"] = text if isinstance(text, str) else json_module.dumps(text)
        return full


def _http_store() -> Any:
    """The class of HTTP sessions, which only SESSION_ENGINE knows."""
    return import_module(settings.SESSION_ENGINE).SessionStore


def _pairs(headers: Mapping[str, bytes], *, host: bool) -> list[list[bytes]]:
    """Headers as an interface has them. ``host``: with a Host, if there is none."""
    pairs = [[name.lower().encode("latin-1"), value] for name, value in headers.items()]
    if host and all(name != b"host" for name, _ in pairs):
        pairs.insert(0, [b"host", _HOST])
    return pairs


def _encoded(cookies: Mapping[str, str]) -> bytes:
    """The value of a Cookie header."""
    morsels = SimpleCookie(dict(cookies)).values()
    pairs = [f"{morsel.key}={morsel.coded_value}" for morsel in morsels]
    return "; ".join(pairs).encode("ascii")


def _first_backend() -> str:
    """The first of AUTHENTICATION_BACKENDS that can get a user by id."""
    path: str
    for path in settings.AUTHENTICATION_BACKENDS:
        if hasattr(auth.load_backend(path), "get_user"):
            return path
    raise ImproperlyConfigured("None of AUTHENTICATION_BACKENDS has get_user().")
