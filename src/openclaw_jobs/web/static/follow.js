// Parts of a page that follow what happens: `<section id="figures" data-follow="balance task.completed">`.
// On one of the events named (`data-about` narrows them to a task) the page is fetched anew, and its
// part with this id takes the place of the one that is shown, until that one has nothing to follow.

import { $$, enhance, request } from "./app.js";
import { listen } from "./live.js";
import { furnish } from "./results.js";

const PAUSE_MS = 500;
const shown = new Map();
let fetching = false, again = false;

const following = () => $$("[data-follow]");
/** What a part says, whatever it makes of its times. */
function words(part) {
  const copy = part.cloneNode(true);
  for (const time of $$("time", copy)) time.textContent = time.dateTime;
  return copy.textContent;
}
const inUse = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

async function renew() {
  if (fetching) { again = true; return; }
  fetching = true;
  do {
    again = false;
    try {
      const page = new DOMParser().parseFromString(await request(location.href, { headers: { Accept: "text/html" } }), "text/html");
      for (const part of following()) {
        const fresh = page.getElementById(part.id), html = fresh?.outerHTML;
        if (!fresh || inUse(part) || shown.get(part.id) === html) continue;
        const first = !shown.has(part.id);
        shown.set(part.id, html);
        // Nothing has happened since the page was made: then nothing moves.
        if (first && words(part) === words(fresh)) continue;
        part.replaceWith(document.adoptNode(fresh));
        enhance(fresh);
        furnish(fresh);
      }
    } catch { /* the next event tries again */ }
    if (again) await new Promise((go) => setTimeout(go, PAUSE_MS));
  } while (again);
  fetching = false;
}

if (following().length) {
  listen("/api/events", ({ name, data }) => {
    const wanted = following().some(({ dataset: { follow, about } }) => follow.split(" ").includes(name) && (!about || about === data.task_id));
    if (wanted) renew();
  // What happened while the page, or the stream, was on its way is caught up with.
  }, { state: (open) => { if (open) renew(); } });
}
