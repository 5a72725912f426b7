from djchan import route
from suite.consumers import note

CHANNELS = ["jobs", "websocket.connect", "websocket.receive", "websocket.disconnect"]
routing = [route(name, note) for name in CHANNELS]
