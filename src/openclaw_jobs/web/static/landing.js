// The first page's figures and its list of tasks just done, as they change.

import { $, el, enhance } from "./app.js";
import { listen } from "./live.js";

const feed = $("#feed");

/** Put a task on top, unless it stands there already. */
function add({ id, data }) {
  if (!data.text || feed.querySelector(`[data-seq="${CSS.escape(id)}"]`)) return;
  const item = el("li", { class: "new", "data-seq": id }, el("span", {}, data.text), el("time", { datetime: data.at, "data-time": "since" }));
  $(".none", feed.parentElement)?.remove();
  feed.hidden = false;
  feed.prepend(item);
  enhance(item);
  while (feed.children.length > Number(feed.dataset.most)) feed.lastElementChild.remove();
}

listen("/activity", (event) => {
  if (event.name === "done") add(event);
  if (event.name === "figures") {
    for (const [name, text] of Object.entries(event.data)) {
      const place = document.getElementById(`figure-${name}`);
      if (place && place.textContent !== text) place.textContent = text;
    }
  }
}, { lastId: feed.dataset.last });
