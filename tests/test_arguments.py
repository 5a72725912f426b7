"""djchan.arguments: a number that a command cannot take is refused with what is right."""

import pytest
from django.core.management import CommandError, call_command, load_command_class


@pytest.mark.parametrize(
    ("command", "option", "kind"),
    [
        (("runworker",), "--threads", "whole number"),
        (("runworker",), "--concurrency", "whole number"),
        (("deadletters", "list"), "--limit", "whole number"),
        (("runserver",), "--http_timeout", "whole number"),
        (("runserver",), "--websocket_handshake_timeout", "whole number"),
        (("rundelay",), "--sleep", "number of seconds"),
    ],
    ids=str,
)
@pytest.mark.parametrize("wrong", ["0", "-1", "none", "nan"])
def test_the_error_names_the_option_the_rule_and_the_value(command, option, kind, wrong):
    app = "djchan.delay" if command[0] == "rundelay" else "djchan"
    expected = f"{option}: must be a {kind} above 0, not '{wrong}'"
    with pytest.raises(CommandError, match=expected):
        call_command(load_command_class(app, command[0]), *command[1:], f"{option}={wrong}")
