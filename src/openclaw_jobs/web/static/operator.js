// The operator's pages: parts that are fetched anew while they are looked at, and a simulation that
// is watched as it runs.

import { $, $$, csrfToken, el, enhance, toast } from "./app.js";
import { refresh } from "./live.js";

for (const part of $$("[data-fragment][data-every]")) {
  let busy = false;
  setInterval(async () => {
    if (document.hidden || busy || !navigator.onLine) return;
    busy = true;
    try { await refresh(part); } catch { /* the next time will tell */ } finally { busy = false; }
  }, Number(part.dataset.every) * 1000);
}

/** Lines of JSON as they come. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    for (const line of whole) yield JSON.parse(line);
  }
}

async function watchTrial(form) {
  const place = $("#trial"), button = $("button", form);
  const bar = el("progress", { max: "1", value: "0", "aria-label": "How far the simulation is" });
  place.replaceChildren(el("p", { class: "small muted" }, "Simulating…"), bar);
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, {
      method: "POST", credentials: "same-origin", body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/x-ndjson", "X-CSRF-Token": csrfToken() },
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    for await (const told of lines(answer.body)) {
      if (told.share !== undefined) bar.value = told.share;
      if (told.trouble) throw new Error(told.trouble);
      // The server's own HTML, escaped there; the Content-Security-Policy lets nothing in it run.
      if (told.html) { place.innerHTML = told.html; enhance(place); }
    }
  } catch (error) {
    place.replaceChildren();
    toast(error.message || "The simulation did not come to its end.", "bad");
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

$("form[data-trial]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  watchTrial(event.target);
});
