"""What keeps other sites' pages out: see ``djchan.security.websockets``."""
