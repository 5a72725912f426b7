"""Messages that are to be sent later, by Channels 1.x's way: the channel ``asgi.delay``.

From ``Channel("asgi.delay").send({"channel": …, "content": {…}, "delay": milliseconds})``; on to
that channel, when it is time::

    asgi.delay ──► delay.consumer, in any worker ──► the layer's own delayed messages
       │
       └─ a layer inside one process: rundelay's Worker ──► rows (delay.models) ──► the channel

In new code ``Channel.send(content, delay=seconds)`` does the same in one step.
"""

# Of Channels 1.x; Django finds the AppConfig by itself.
default_app_config = "djchan.delay.apps.DelayConfig"
