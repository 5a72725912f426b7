"""A visitor of the running site without a browser: cookies, forms, and sockets with them."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

TIMEOUT = 30  # s


class Visitor:
    """Each has cookies of its own; ``address`` is that of the site."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))

    def get(self, path: str) -> str:
        with self._opener.open(f"{self.address}{path}", timeout=TIMEOUT) as response:
            return str(response.read().decode())

    def post(self, path: str, **data: Any) -> str:
        token = self.cookies().get("csrftoken", "")
        body = urlencode({"csrfmiddlewaretoken": token, **data}).encode()
        with self._opener.open(f"{self.address}{path}", body, timeout=TIMEOUT) as response:
            return str(response.read().decode())

    def ask(self, path: str, **data: Any) -> dict[str, Any]:
        """``post`` to a view that answers with JSON."""
        answer: dict[str, Any] = json.loads(self.post(path, **data))
        return answer

    def sign_in(self, name: str) -> "Visitor":
        self.get("/people/sign-in/")
        self.post("/people/sign-in/as/", name=name)
        return self

    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._jar}

    @contextmanager
    def socket(self, path: str, *, port: int) -> Iterator[ClientConnection]:
        """A WebSocket to the interface at ``port``, opened as a page of the site would."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies().items())
        with connect(
            f"ws://127.0.0.1:{port}{path}",
            additional_headers={"Cookie": cookies},
            origin=self.address,  # type: ignore[arg-type]  # A NewType of str.
            open_timeout=TIMEOUT,
            close_timeout=TIMEOUT,
        ) as opened:
            yield opened
