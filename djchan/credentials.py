"""Users and passwords of URLs, kept out of texts about settings.

A URL of Redis may stand in any place of CHANNEL_LAYERS, by mistake, and an error quotes the value
that it refuses. So ``exceptions.InvalidChannelLayer`` is masked here, whoever raises it.
"""

import re

MASK = "***"

# As far as the last @: a password that was not percent-encoded may have / ? # and @ in it. What
# is left alone is the example in messages of djchan's own.
_USER = re.compile(r"(?<=://)(?!user:password@)\S*@")
_PARAMETER = re.compile(r"(?<=password=)[^\s&'\"]+")


def without_credentials(text: str) -> str:
    return _PARAMETER.sub(MASK, _USER.sub(f"{MASK}@", text))
