"""Why a socket was closed: the code that it gets, and the words for a person.

The codes have an HTTP status in mind: 401, 403, 408, 410. One comes from the logins: a
deactivated account loses the sockets of its tokens as well.
"""

from realtime.logins import reasons as of_logins

NO_TOKEN = 4400
UNKNOWN = 4401
REVOKED = 4403
SILENT = 4408
EXPIRED = 4410
DEACTIVATED = of_logins.DEACTIVATED

WORDS = {
    NO_TOKEN: "The first message was no token.",
    UNKNOWN: "There is no such token.",
    REVOKED: "This token was revoked.",
    SILENT: "No token came in time.",
    EXPIRED: "This token has expired.",
    DEACTIVATED: of_logins.WORDS[DEACTIVATED],
}
