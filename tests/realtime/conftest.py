from tests.realtime.running import database, running, tab
from tests.realtime.site import sent, site

__all__ = ["database", "running", "sent", "site", "tab"]
