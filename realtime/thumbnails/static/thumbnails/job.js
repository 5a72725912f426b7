// The page of a job: asks for its state when connected, and shows what comes after.

import { connect } from "../realtime/socket.js";

const job = document.getElementById("job");
const list = document.getElementById("thumbnails");
let newest = -1;

function show(state) {
  if (state.revision < newest) return; // older than what we show: it took a longer way
  newest = state.revision;
  const { thumbnails, total, error } = state;
  job.dataset.state = state.state;
  document.getElementById("progress").max = total;
  document.getElementById("progress").value = thumbnails.length;
  document.getElementById("state").textContent =
    state.state === "working" ? `working: ${thumbnails.length} of ${total}` : state.state;
  const refusal = document.getElementById("error");
  refusal.textContent = error;
  refusal.hidden = !error;
  for (const thumbnail of thumbnails) add(thumbnail);
  document.getElementById("result").hidden = !state.archive;
}

function add({ size, width, height, url }) {
  if (list.querySelector(`[data-size="${Number(size)}"]`)) return;
  const item = document.createElement("li");
  item.dataset.size = size;
  const image = document.createElement("img");
  Object.assign(image, { src: url, width, height, alt: `${width} × ${height} pixels` });
  const link = document.createElement("a");
  link.href = url;
  link.textContent = `${width} × ${height}`;
  item.append(image, link);
  list.append(item);
}

show(JSON.parse(document.getElementById("initial").textContent));

const socket = connect(`/ws/jobs/${job.dataset.job}/`, {
  open: () => socket.send("state"),
  message: (text) => show(JSON.parse(text)),
});
