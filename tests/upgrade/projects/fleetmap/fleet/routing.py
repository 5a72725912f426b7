channel_routing = {
    "websocket.connect": "vehicles.consumers.connect",
    "websocket.receive": "vehicles.consumers.receive",
    "positions": "vehicles.consumers.position",
}
