"""Bindings that a test declared are gone after it."""

import pytest

from djchan.binding.base import BindingMetaclass
from tests.binding.declare import undeclare


@pytest.fixture(autouse=True)
def undeclared():
    before = list(BindingMetaclass.binding_classes)
    yield
    undeclare(keep=before)
