"""Why a socket was closed: the code that it gets, and the words for whoever reads the page.

A close frame of an application has a code from 4000 on; these have an HTTP status in mind
(401: not signed in). Clients of other systems may show them, too.
"""

ANONYMOUS = 4401
LOGGED_OUT = 4411
PASSWORD_CHANGED = 4412
DEACTIVATED = 4413
EXPIRED = 4414

WORDS = {
    ANONYMOUS: "Nobody is signed in here, and this socket is for somebody who is.",
    LOGGED_OUT: "This login was ended: signed out, or in anew, here or elsewhere.",
    PASSWORD_CHANGED: "The password was changed, so all logins with the old one have ended.",
    DEACTIVATED: "This account was deactivated.",
    EXPIRED: "The session has run out of time.",
}
