"""Bases of all consumers of this site."""
from .bases import RoomMixin, SiteConsumer, StaffConsumer

__all__ = ["RoomMixin", "SiteConsumer", "StaffConsumer"]
