"""Options in commands that one line holds, or several, in each syntax that has such."""

import textwrap

import pytest

from djchan.upgrade.commands import options


def told(text: str) -> list[tuple[int, str]]:
    """Lines, and a word of what is told of them."""
    words = {
        "--ws-protocol": "ws",
        "--force-sync": "sync",
        "connect_timeout": "connect",
        "http_timeout": "http",
        "--threads": "threads",
        "rundelay": "delay",
    }
    return sorted(
        (line, next(short for word, short in words.items() if word in sentence))
        for line, sentence in set(options(textwrap.dedent(text).splitlines()))
    )


COMMANDS = {
    "a backslash": (
        """
        exec daphne \\
            -b 0.0.0.0 -t 60 \\
            --ws-protocol graphql \\
            site.asgi:channel_layer
        gunicorn --threads 4 -t 30
        """,
        [(3, "http"), (4, "ws")],
    ),
    "a unit": (
        """
        [Service]
        ExecStart=/srv/venv/bin/daphne --force-sync --http-timeout=30 \\
          --websocket_connect_timeout 10 site.asgi:channel_layer
        ExecStart=/srv/venv/bin/python manage.py runworker --threads 4
        """,
        [(3, "http"), (3, "sync"), (4, "connect"), (5, "threads")],
    ),
    "an INI file": (
        """
        [program:daphne]
        command = /venv/bin/daphne
            -t 60
            site.asgi:channel_layer
        [program:gunicorn]
        command = gunicorn -t 30
        """,
        [(4, "http")],
    ),
    "a list of YAML": (
        """
        services:
          daphne:
            image: x
            command:
              - daphne
              - "-t"
              - "60"
              - --ws-protocol
              - graphql
          web:
            command: gunicorn -t 30 --threads 4
        """,
        [(7, "http"), (9, "ws")],
    ),
    "a list of YAML that begins with python": (
        """
        args:
        - python
        - manage.py
        - runworker
        - --threads
        - "4"
        """,
        [(6, "threads")],
    ),
    "command and args": (
        """
        containers:
          - name: daphne
            command: ["daphne"]
            args: ["-t", "60", "site.asgi:channel_layer"]
        """,
        [(5, "http")],
    ),
    "a folded block": (
        """
        command: >
          daphne
          site.asgi:channel_layer
          -t 60
        other: -t 30
        """,
        [(5, "http")],
    ),
    "a literal block": (
        """
        script: |
          daphne site.asgi:channel_layer
          gunicorn -t 30 --threads 3
        """,
        [],
    ),
    "JSON": (
        """
        CMD ["daphne", "-t", "60", "site.asgi:channel_layer"]
        command: [
          "python", "manage.py",
          "runworker",
          "--threads",
          "4"
        ]
        """,
        [(2, "http"), (6, "threads")],
    ),
    "one behind the other": (
        """
        script:
          - daphne site.asgi:channel_layer & gunicorn -t 30
          - python manage.py runworker && gunicorn --threads 4
          - gunicorn -t 30
        """,
        [],
    ),
    "a template of Ansible's": (
        """
        ExecStart={{ venv }}/bin/daphne -t {{ timeout }} {% if x %}--force-sync{% endif %} a:b
        """,
        [(2, "http"), (2, "sync")],
    ),
    "options in a variable": ("DAPHNE_OPTS=--ws-protocol=graphql\n", [(1, "ws")]),
    "a worker for delays": ("delay: python manage.py rundelay --sleep 1\n", [(1, "delay")]),
    "names of services": (
        "[program:daphne]\n[group:x]\nprograms=daphne,w\nsystemctl restart daphne.service -t x\n",
        [],
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_in_each_syntax(name: str):
    text, expected = COMMANDS[name]

    assert told(text) == expected
