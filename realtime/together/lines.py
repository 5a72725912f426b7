"""One message for both worlds.

From either kind of consumer; on to the group ``together``. Its ``type`` names the method of a
Channels 4 consumer that gets it; a socket that a worker serves is sent the ``text`` alone.
"""

import json
import os

GROUP = "together"
LENGTH = 500  # characters


def said(where: str, text: object) -> dict[str, str]:
    """What the group is told; ValueError, with a sentence, for what is no line.

    ``where``: which of the three consumers took it. It runs in the process that is named.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("A line is text, and not empty.")
    if len(text) > LENGTH:
        raise ValueError(f"The line has {len(text)} characters; {LENGTH} are allowed.")
    line = {"where": where, "process": os.getpid(), "text": text.strip()}
    return {"type": "together.said", "text": json.dumps(line)}
