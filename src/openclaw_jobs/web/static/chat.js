// The conversation page: sends and stays, follows the buyer's events, keeps drafts on the server.
// Everything here is also a form or a link; without this module the page only has to be loaded again.

import { $, $$, el, enhance, openDialog, request, toast } from "./app.js";
import { makeComposer } from "./composer.js";
import { listen } from "./live.js";
import { copyText, furnish } from "./results.js";

const turns = $("#turns"), scroll = $("#scroll"), side = $("#conversations"), status = $("#chat-status");
let where = turns.dataset.conversation;
const old = turns.hasAttribute("data-old");

const say = (text) => { status.textContent = ""; setTimeout(() => { status.textContent = text; }, 50); };
const fragment = (url) => request(url, { headers: { Accept: "text/html" } });
const parse = (html) => { const box = document.createElement("template"); box.innerHTML = html; return [...box.content.children]; };
const post = (url, form) => request(url, { method: "POST", headers: { Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded" }, body: form && new URLSearchParams([...new FormData(form)]).toString() });
const turnOf = (task) => $$(".turn", turns).filter((turn) => turn.dataset.tasks.split(" ").includes(task));

// Turns

const WORDS = { claimed: "A worker is on it.", completed: "The answer is there.", failed: "No worker managed it. The price is back in your balance.", expired: "Nobody took it in time. The price is back in your balance.", cancelled: "Cancelled. The price is back in your balance.", credited: "Credited.", queued: "Waiting for a worker." };

// What is fetched may be older than what was heard meanwhile.
const heardProgress = new Map();
function showProgress(within, task, progress) {
  const line = $(`[data-life][data-status="claimed"][data-task="${task}"] [data-progress]`, within);
  if (line) line.textContent = progress;
}

const held = new Set();
const inUse = (turn) => $("details[open]", turn) || (turn.contains(document.activeElement) && document.activeElement.matches("textarea"));

/** Put a turn as the server has it in the place of the one that is shown. */
function place(fresh) {
  for (const [task, progress] of heardProgress) showProgress(fresh, task, progress);
  const there = document.getElementById(fresh.id);
  if (there && inUse(there)) {
    // Somebody is about to do something with it: only its words change, the rest when they are done.
    for (const life of $$("[data-life]", fresh)) {
      const line = $(`[data-life][data-task="${life.dataset.task}"][data-status="${life.dataset.status}"] [data-progress]`, there);
      if (line) line.textContent = $("[data-progress]", life).textContent;
    }
    held.add(fresh.id);
    return;
  }
  enhance(fresh);
  furnish(fresh);
  if (!there) {
    const after = $$(".turn", turns).filter((one) => +one.dataset.seq < +fresh.dataset.seq).pop();
    if (after) after.after(fresh); else turns.prepend(fresh);
  } else {
    const refocus = focusPath(there);
    there.replaceWith(fresh);
    refocus?.(fresh);
  }
  tellWaiting();
}

function release() {
  for (const id of [...held]) {
    const turn = document.getElementById(id);
    if (turn && inUse(turn)) continue;
    held.delete(id);
    if (turn) renew(id);
  }
}
turns.addEventListener("toggle", release, true);
turns.addEventListener("focusout", () => setTimeout(release));

function focusPath(within) {
  const active = document.activeElement;
  if (!within.contains(active)) return null;
  const label = active.getAttribute("aria-label") || active.textContent.trim();
  return (fresh) => {
    const same = $$("button, a, summary", fresh).find((one) => (one.getAttribute("aria-label") || one.textContent.trim()) === label);
    if (same) same.focus(); else { fresh.tabIndex = -1; fresh.focus(); }
  };
}

const fetching = new Map();
/** Fetch a turn anew; calls that come while one is under way lead to one more. */
async function renew(id) {
  if (fetching.has(id)) { fetching.set(id, true); return; }
  do {
    fetching.set(id, false);
    try {
      for (const fresh of parse(await fragment(`/chat/turns/${id}`))) place(fresh);
    } catch (error) {
      if (error.status === 404) document.getElementById(id)?.remove();
    }
  } while (fetching.get(id));
  fetching.delete(id);
}

let catching = null, again = false;
/** Fetch the turns that came since, from this browser or another. */
function catchUp() {
  if (!where || old) return Promise.resolve();
  if (catching) { again = true; return catching; }
  catching = (async () => {
    do {
      again = false;
      const last = $$(".turn", turns).pop();
      for (const fresh of parse(await fragment(`/chat/${where}/turns?after=${last ? last.dataset.seq : 0}`))) {
        place(fresh);
        composer.sentElsewhere($(".bubble", fresh).textContent);
      }
    } while (again);
  })().catch(() => {}).finally(() => { catching = null; });
  return catching;
}

function tellWaiting() {
  const last = $$(".turn", turns).pop();
  composer.wait(!old && !!last?.hasAttribute("data-waiting"));
}

// What happens, as it happens

function heard({ name, data }) {
  if (name === "balance") { composer.balance(data.balance_cents); return; }
  if (name === "conversation") { changed(data); return; }
  if (!data.task_id) return;
  const mine = turnOf(data.task_id);
  if (name === "task.progress") {
    if (data.progress) heardProgress.set(data.task_id, data.progress);
    for (const turn of mine) showProgress(turn, data.task_id, data.progress || "");
    return;
  }
  heardProgress.delete(data.task_id);
  if (mine.length && data.status && WORDS[data.status] && name !== "task.queued") say(WORDS[data.status]);
  if (document.hidden && mine.length && name === "task.completed") flagTitle();
  for (const turn of mine) renew(turn.id);
}

/** Something in a conversation changed, here or in another browser. */
function changed({ conversation_id: id, turn_id: turn, deleted }) {
  renewSide();
  if (id !== where) return;
  if (deleted) { if (!leaving) location.assign("/chat"); return; }
  catchUp();
  if (turn && document.getElementById(turn)) renew(turn);
}

// The answer to a form that deletes the conversation is a page of its own; nothing may overtake it.
let leaving = false;
document.addEventListener("submit", (event) => { if (!event.defaultPrevented && event.target.action.endsWith("/delete")) leaving = true; });

const plainTitle = () => document.title.replace(/^✓ /, "");
function flagTitle() { document.title = `✓ ${plainTitle()}`; }
document.addEventListener("visibilitychange", () => { if (!document.hidden) { document.title = plainTitle(); refreshPlaces(); } });

// Where a task stands in the queue changes by what others do, of which no event tells.
function refreshPlaces() {
  if (document.hidden) return;
  for (const life of $$('[data-life][data-status="queued"]', turns)) renew(life.closest(".turn").id);
}
setInterval(refreshPlaces, 5000);

let sideTimer;
function renewSide(wait = 300) {
  clearTimeout(sideTimer);
  sideTimer = setTimeout(async () => {
    const query = new URLSearchParams({ q: $("#side-q").value, current: where });
    let html;
    try { html = await fragment(`/chat/side?${query}`); } catch { return; /* the next event tries again */ }
    const held = side.contains(document.activeElement) && document.activeElement.getAttribute("href");
    side.innerHTML = html;
    enhance(side);
    if (held) $(`a[href="${held}"]`, side)?.focus();
    const name = where && $(`a[href="/chat/${where}"] .name`, side)?.textContent;
    if (!name) return;
    $("#chat-title").textContent = name;
    document.title = `${name} · OpenClaw.jobs`;
  }, wait);
}

// Acts: forms of turns

async function act(form, button) {
  button?.setAttribute("aria-busy", "true");
  try {
    const done = await post(form.getAttribute("action"), form);
    if (done.link) { $("#share-link").textContent = done.link; openDialog("share"); }
    else if (/\/(again|choose|rate)$/.test(form.getAttribute("action"))) say(done.message);
    else if (done.message) toast(done.message);
    if (form.action.endsWith("/fork")) { location.assign(done.url); return; }
    form.closest("dialog")?.close();
    form.closest("details[open]")?.removeAttribute("open");
    const turn = form.closest(".turn") || document.getElementById(done.url?.split("#")[1]);
    if (turn) await renew(turn.id);
  } catch (error) {
    toast(error.message, "bad");
    const turn = form.closest(".turn");
    if (turn && error.status === 409) renew(turn.id);
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-act]")) { event.preventDefault(); act(form, event.submitter); }
  else if (form.matches("[data-rename]")) {
    event.preventDefault();
    post(form.getAttribute("action"), form).then((done) => { toast(done.message); $("#chat-title").textContent = form.elements.title.value; form.closest("details").open = false; renewSide(0); }, (error) => toast(error.message, "bad"));
  } else if (form.matches("[data-search]")) { event.preventDefault(); renewSide(0); }
});

turns.addEventListener("click", async (event) => {
  const at = event.target.closest("[data-copy-result], [data-copy-said], [data-again]");
  if (!at) return;
  if (at.matches("[data-copy-result]")) copyText($("[data-source]", at.closest(".answer")).content.textContent);
  else if (at.matches("[data-copy-said]")) copyText($(".bubble", at.closest(".turn")).textContent);
  else if (!event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    try {
      const page = new DOMParser().parseFromString(await fragment(at.getAttribute("href")), "text/html");
      const box = $("#again"), body = $("[data-again-body]", page);
      box.replaceChildren(el("div", { class: "dialog-head" }, el("h2", { id: "again-title" }, $("h1", page).textContent)), el("div", { class: "dialog-body" }, ...document.adoptNode(body).children));
      at.closest("details")?.removeAttribute("open");
      box.showModal();
    } catch (error) { toast(error.message, "bad"); }
  }
});
$("#again").addEventListener("click", (event) => { if (event.target.matches("a[data-close]")) event.preventDefault(); });

// The composer

const composer = makeComposer({
  where: () => where,
  begun: begin,
  async sent() {
    scroll.scrollTop = 0;
    await catchUp();
    say("Sent. Waiting for a worker.");
    renewSide(0);
  },
  refused(code) { if (code === "wrong_state") catchUp(); },
  say,
});

/** The page of a new conversation becomes that of the one that was just begun. */
function begin(id) {
  where = id;
  turns.dataset.conversation = id;
  $("#composer").elements.conversation_id.value = id;
  $(".hello")?.remove();
  history.replaceState(null, "", `/chat/${id}`);
  $("#prompt").placeholder = "Say more";
  const anew = $(".side-tools > a");
  anew.classList.add("primary");
  anew.removeAttribute("aria-current");
  fragment(`/chat/${id}`).then((html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    $(".chat-head").append(document.adoptNode($(".chat-head > details", page)));
    $("#chat-title").textContent = $("#chat-title", page).textContent;
    document.title = page.title;
  }).catch(() => {});
}

for (const idea of $$("[data-idea]")) idea.addEventListener("click", () => composer.write(idea.dataset.idea));

// The list at the side, searched as one writes; on a phone it slides in

$("#side-q").addEventListener("input", () => renewSide(250));
const layout = $(".app-layout"), drawer = $("[data-drawer]");
function slide(open) {
  layout.classList.toggle("drawer-open", open);
  drawer.setAttribute("aria-expanded", open);
  if (open) $("a", $(".app-side")).focus(); else drawer.focus();
}
drawer.setAttribute("role", "button");
drawer.setAttribute("aria-expanded", "false");
drawer.addEventListener("click", (event) => { event.preventDefault(); slide(!layout.classList.contains("drawer-open")); });
layout.addEventListener("click", (event) => { if (event.target === layout) slide(false); });
addEventListener("keydown", (event) => { if (event.key === "Escape" && layout.classList.contains("drawer-open")) slide(false); });

// Begin

if (location.hash.startsWith("#seq-")) $(`.turn[data-seq="${location.hash.slice(5)}"]`)?.scrollIntoView();
else if (location.hash.startsWith("#turn_")) document.getElementById(location.hash.slice(1))?.scrollIntoView();
furnish();
tellWaiting();
composer.begin();
listen("/api/events", heard, { lastId: turns.dataset.seq });
