// Streams that find their way back, and parts of a page that stay in step with them.

import { $, $$, enhance, request } from "./app.js";

const waiting = new Set();
function tellConnection() {
  const bar = $("#connection");
  if (!bar) return;
  const text = !navigator.onLine ? "You are offline. This page goes on when you are back." : waiting.size ? "Reconnecting…" : "";
  if (bar.textContent !== text) bar.textContent = text;
  bar.hidden = !text;
}
addEventListener("online", tellConnection);
addEventListener("offline", tellConnection);

/**
 * Server-sent events that survive a lost connection: they resume with `Last-Event-ID`, wait longer
 * after each failure, and say so on the page when it lasts.
 * @param {string} url
 * @param {(event: {name: string, id: string, data: any}) => void} heard  data is parsed JSON
 * @param {{lastId?: string, state?: (open: boolean) => void}} options
 * @returns {() => void} closes the stream
 */
export function listen(url, heard, { lastId = "", state = () => {} } = {}) {
  let stopped = false, control, pause = 500, slow;
  const key = {};
  const opened = (open) => {
    clearTimeout(slow);
    if (open) { waiting.delete(key); tellConnection(); }
    else slow = setTimeout(() => { waiting.add(key); tellConnection(); }, 3000);
    state(open);
  };
  async function run() {
    while (!stopped) {
      control = new AbortController();
      try {
        const headers = { Accept: "text/event-stream" };
        if (lastId) headers["Last-Event-ID"] = lastId;
        const answer = await fetch(url, { headers, signal: control.signal, cache: "no-store", credentials: "same-origin" });
        if ([401, 403, 404].includes(answer.status)) { close(); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        opened(true);
        pause = 500;
        await read(answer.body, (event) => { if (event.id) lastId = event.id; heard(event); });
      } catch { /* a lost connection: the loop tries again */ }
      if (stopped) return;
      opened(false);
      await new Promise((go) => {
        setTimeout(go, pause * (0.75 + Math.random() / 2));
        addEventListener("online", go, { once: true });
      });
      pause = Math.min(pause * 2, 15000);
    }
  }
  function close() {
    stopped = true;
    clearTimeout(slow);
    waiting.delete(key);
    tellConnection();
    control?.abort();
  }
  // A page that the browser keeps for "back" closes its streams, and opens them when it is shown again.
  let ended = false;
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted && !ended) { stopped = false; run(); } });
  run();
  return () => { ended = true; close(); };
}

async function read(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { name: "message", id: "", text: [] };
      for (const line of block.split("\n")) {
        const at = line.indexOf(":");
        const [field, said] = at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
        if (field === "data") event.text.push(said);
        else if (field === "event") event.name = said;
        else if (field === "id") event.id = said;
      }
      if (event.text.length) heard({ name: event.name, id: event.id, data: JSON.parse(event.text.join("\n")) });
    }
  }
}

// Live parts: <div data-fragment="/dashboard/figures" data-on="balance task.completed">

const shown = new WeakMap();

/** Fetch a part of the page anew and put it where it was, if it has changed. */
export async function refresh(part) {
  const html = await request(part.dataset.fragment, { headers: { Accept: "text/html" } });
  if (shown.get(part) === html) return;
  shown.set(part, html);
  // The server's own HTML, escaped there; the Content-Security-Policy lets nothing in it run.
  const held = document.activeElement?.id;
  part.innerHTML = html;
  enhance(part);
  if (held && part.querySelector(`#${CSS.escape(held)}`)) document.getElementById(held).focus();
}

/** Keep all `[data-fragment]` in step with a stream: each is refreshed by the events that it names in `data-on`. */
export function keepLive(url) {
  const due = new Set();
  let timer;
  const soon = (part) => {
    due.add(part);
    timer ??= setTimeout(() => {
      timer = undefined;
      const parts = [...due];
      due.clear();
      for (const one of parts) if (one.isConnected) refresh(one).catch(() => {});
    }, 250);
  };
  let before = false;
  return listen(url, ({ name }) => {
    for (const part of $$("[data-fragment]")) {
      const names = (part.dataset.on || "").split(" ");
      if (names.includes(name) || names.includes("*")) soon(part);
    }
  }, { state: (open) => { if (open && before) $$("[data-fragment]").forEach(soon); if (open) before = true; } });
}

tellConnection();
