from tests.realtime.running import running, tab
from tests.realtime.site import sent, site

__all__ = ["running", "sent", "site", "tab"]
