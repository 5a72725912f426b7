"""Call things by their names, in log lines and error messages.

From whoever has a consumer, a layer or a route to speak of; on to what a person reads.
"""

import functools
import types


def name_that_thing(thing: object) -> str:
    """The dotted path of a function, method or class; for an instance, that of its class.

    A ``functools.partial`` has the name of what it calls.
    """
    while isinstance(thing, functools.partial):
        thing = thing.func
    if isinstance(thing, types.MethodType):
        owner = thing.__self__ if isinstance(thing.__self__, type) else type(thing.__self__)
        return f"{name_that_thing(owner)}.{thing.__name__}"
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    # An instance may carry a __name__ of its own: a decorator object that used
    # functools.update_wrapper is best called what it wraps.
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not isinstance(name, str):
        thing = type(thing)
        name = thing.__qualname__
    module = getattr(thing, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) else name
