"""A client without cookies: shows the token, asks who it is, prints the answers.

    python -m realtime.tokens.client ws://127.0.0.1:8000/ws/tokens/ TOKEN

Without TOKEN it asks for it, so that it is in no shell's history. ``--first-message``: says it
in the first message, not in the handshake. ``--stay``: stays until the server closes.

It needs only the package websockets, and nothing else of this repository: copy it.
"""

import argparse
import getpass
import json
import sys
from collections.abc import Sequence

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

TIMEOUT = 10  # seconds

CLOSED = {
    4400: "the first message was no token",
    4401: "there is no such token",
    4403: "the token was revoked",
    4408: "no token came in time",
    4410: "the token has expired",
    4413: "the account was deactivated",
}


def main(argv: Sequence[str] | None = None) -> int:
    """0: let in; 1: closed by the server; 2: not reached."""
    options = arguments(argv)
    token = options.token or getpass.getpass("Token: ")
    in_handshake = [Subprotocol("djchan"), Subprotocol(f"token.{token}")]
    protocols = None if options.first_message else in_handshake
    try:
        with connect(options.url, subprotocols=protocols, open_timeout=TIMEOUT) as socket:
            if options.first_message:
                socket.send(json.dumps({"token": token}))
            return talk(socket, stay=options.stay)
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else 1006
        print(f"Closed with {code}: {CLOSED.get(code, 'see RFC 6455')}.", flush=True)
        return 1
    except (OSError, InvalidHandshake) as error:
        print(f"{options.url} was not reached: {error}", file=sys.stderr)
        return 2


def talk(socket: ClientConnection, *, stay: bool) -> int:
    print(socket.recv(timeout=TIMEOUT), flush=True)
    socket.send(json.dumps({"ask": "who am I"}))
    print(socket.recv(timeout=TIMEOUT), flush=True)
    while stay:
        print(socket.recv(), flush=True)
    return 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Says who a token lets in as.")
    parser.add_argument("url", help="ws://… or wss://…")
    parser.add_argument("token", nargs="?", help="its text; without it you are asked")
    parser.add_argument("--first-message", action="store_true", help="not in the handshake")
    parser.add_argument("--stay", action="store_true", help="until the server closes")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
