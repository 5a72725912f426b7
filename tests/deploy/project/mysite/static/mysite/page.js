// The bridge chooses ws: or wss: by the scheme of the page.
const bridge = new channels.WebSocketBridge();
bridge.connect("/ws/room/");
bridge.listen((hello) => {
  document.getElementById("url").textContent = bridge.socket.url;
  document.getElementById("hello").textContent = JSON.stringify(hello);
});
