"""Tests of ``djchan.binding``, and an app with models for them."""
