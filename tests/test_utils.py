"""djchan.utils: the names of things."""

import functools
import json

from djchan.utils import name_that_thing
from tests import test_utils as this

HERE = this.__name__


def a_function():
    pass


class Thing:
    def method(self):
        pass

    @classmethod
    def of_class(cls):
        pass


class Other(Thing):
    pass


def test_functions_classes_and_modules_have_their_dotted_path():
    assert name_that_thing(this.a_function) == f"{HERE}.a_function"
    assert name_that_thing(this.Thing) == f"{HERE}.Thing"
    assert name_that_thing(this.Thing.method) == f"{HERE}.Thing.method"
    assert name_that_thing(json) == "json"


def test_an_instance_is_called_by_its_class():
    assert name_that_thing(this.Thing()) == f"{HERE}.Thing"
    assert name_that_thing(7) == "builtins.int"
    assert name_that_thing(None) == "builtins.NoneType"


def test_a_bound_method_is_called_by_the_class_it_is_bound_to():
    assert name_that_thing(this.Other().method) == f"{HERE}.Other.method"
    assert name_that_thing(this.Other.of_class) == f"{HERE}.Other.of_class"


def test_what_is_wrapped_gives_its_name():
    assert name_that_thing(functools.partial(this.a_function, 1)) == f"{HERE}.a_function"

    @functools.wraps(this.a_function)
    def wrapper():
        pass

    assert name_that_thing(wrapper) == f"{HERE}.a_function"

    class Decorator:
        def __init__(self, func):
            functools.update_wrapper(self, func)

    assert name_that_thing(Decorator(this.a_function)) == f"{HERE}.a_function"


def test_builtins_do_not_trip_it():
    assert name_that_thing(len) == "builtins.len"
    assert name_that_thing([].append).endswith("append")
