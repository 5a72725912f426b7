from tests.realtime.site import sent, site

__all__ = ["sent", "site"]
