"""Bindings that a test declared are gone after it."""

import pytest
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from djchan.binding.base import BindingMetaclass


@pytest.fixture(autouse=True)
def undeclared():
    before = list(BindingMetaclass.binding_classes)
    yield
    for binding in BindingMetaclass.binding_classes:
        if binding not in before and binding.model is not None:
            for signal, receiver in (
                (pre_save, binding.pre_save_receiver),
                (post_save, binding.post_save_receiver),
                (pre_delete, binding.pre_delete_receiver),
                (post_delete, binding.post_delete_receiver),
            ):
                signal.disconnect(receiver, sender=binding.model)
    BindingMetaclass.binding_classes[:] = before
