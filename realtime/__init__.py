"""The example site: pages, and the consumers of their sockets."""
