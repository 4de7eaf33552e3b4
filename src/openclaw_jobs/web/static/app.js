// What every page gets from script: the theme, times in the reader's zone, copying, dialogs, tabs,
// toasts, requests with the CSRF token. A page's own module imports what it needs from here, and from
// `live.js` what is about streams. Nothing is put on `window`.

const root = document.documentElement;
export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/** An element: `el("a", {href: "/", class: "btn"}, "Text", child)`. Text is never read as HTML. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export const money = (cents) =>
  (cents < 0 ? "-$" : "$") + (Math.abs(cents) / 100).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

// Toasts

/** Say something in passing; kinds: "" (done), "warn", "bad". Read out by screen readers. */
export function toast(text, kind = "") {
  const close = el("button", { class: "btn quiet icon sm", type: "button", "aria-label": "Dismiss" }, "×");
  const made = el("div", { class: `toast ${kind}` }, el("p", {}, text), close);
  const timer = setTimeout(() => made.remove(), kind === "bad" ? 12000 : 6000);
  close.addEventListener("click", () => { clearTimeout(timer); made.remove(); });
  $("#toasts")?.append(made);
}

// Requests

export class Refusal extends Error {
  /** A refusal as the server explained it (RFC 9457): `status`, `code`, `fields`, and the rest of its body in `problem`. */
  constructor(status, problem) {
    super(problem.detail || problem.title || "That did not work. Please try again.");
    this.status = status;
    this.code = problem.code || "";
    this.problem = problem;
    this.fields = Object.fromEntries((problem.errors || []).map((error) => [error.field, error.message]));
  }
}

export const csrfToken = () => $('meta[name="csrf-token"]')?.content || "";

/** fetch with the CSRF token; `json` is sent as the body. Answers JSON or text; throws a Refusal. */
export async function request(url, { method, json, headers = {}, ...rest } = {}) {
  const verb = method || (json === undefined ? "GET" : "POST");
  const sent = { Accept: "application/json, text/html;q=0.9", ...headers };
  if (verb !== "GET") sent["X-CSRF-Token"] = csrfToken();
  if (json !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, { method: verb, headers: sent, body: json === undefined ? rest.body : JSON.stringify(json), credentials: "same-origin", ...rest });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { detail: "The marketplace cannot be reached. Check your connection and try again.", code: "offline" });
  }
  const kind = answer.headers.get("content-type") || "";
  if (!answer.ok) throw new Refusal(answer.status, kind.includes("json") ? await answer.json() : {});
  if (answer.status === 204) return null;
  return kind.includes("json") ? answer.json() : answer.text();
}

// Times

const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const formats = {
  full: whole,
  date: new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }),
  clock: new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }),
};
const spans = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = {
  ago: new Intl.RelativeTimeFormat("en", { numeric: "auto" }),
  since: new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" }),
};

/** "3 minutes ago", "in 2 hours"; `since` is shorter: "3m ago". */
export function distance(at, mode = "ago", now = Date.now()) {
  const seconds = (at - now) / 1000;
  const [unit, size] = spans.find(([, length]) => Math.abs(seconds) >= length) || ["second", 1];
  return relative[mode].format(Math.trunc(seconds / size), unit);
}

function showTime(node) {
  const at = new Date(node.dateTime);
  if (Number.isNaN(at.getTime())) return;
  const text = node.dataset.time in relative ? distance(at, node.dataset.time) : (formats[node.dataset.time] || whole).format(at);
  if (node.textContent !== text) node.textContent = text;
  const when = whole.format(at);
  if (node.title !== when) node.title = when;
}
setInterval(() => { if (!document.hidden) $$('time:is([data-time="ago"], [data-time="since"])').forEach(showTime); }, 15000);

// Tabs: links to sections become tabs that arrow keys move between

function makeTabs(box) {
  const list = $(".tablist", box), links = $$("a", list);
  const panels = links.map((link) => $(link.hash, box));
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", list.dataset.label);
  const show = (index, focus = false) => {
    links.forEach((link, at) => {
      link.setAttribute("aria-selected", at === index);
      link.tabIndex = at === index ? 0 : -1;
      panels[at].hidden = at !== index;
    });
    if (focus) links[index].focus();
  };
  links.forEach((link, index) => {
    link.id = `tab-${panels[index].id}`;
    link.setAttribute("role", "tab");
    link.setAttribute("aria-controls", panels[index].id);
    panels[index].setAttribute("role", "tabpanel");
    panels[index].setAttribute("aria-labelledby", link.id);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      show(index);
      history.replaceState(null, "", link.hash);
    });
    link.addEventListener("keydown", (event) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: links.length - 1 }[event.key];
      if (event.key === " ") { event.preventDefault(); show(index); }
      if (to === undefined) return;
      event.preventDefault();
      show((to + links.length) % links.length, true);
    });
  });
  show(Math.max(0, links.findIndex((link) => link.hash === location.hash)));
  box.dataset.ready = "";
}

// What scrolls sideways can be scrolled by keyboard, and only then is a stop for Tab.
const reach = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) {
      target.tabIndex = 0;
      target.setAttribute("role", "region");
      target.setAttribute("aria-label", $("caption", target)?.textContent || "Table");
    } else for (const name of ["tabindex", "role", "aria-label"]) target.removeAttribute(name);
  }
});

/** Make the parts within `scope` do what their attributes ask for; for HTML that arrived later. */
export function enhance(scope = document) {
  $$("time[data-time]", scope).forEach(showTime);
  $$("[data-tabs]:not([data-ready])", scope).forEach(makeTabs);
  $$(".table-wrap", scope).forEach((box) => reach.observe(box));
}

/** Open a dialog of the page by its id; the focus returns to where it was when it closes. */
export function openDialog(id) {
  const box = document.getElementById(id);
  if (box && !box.open) box.showModal();
  return box;
}

/** Ask before what cannot be taken back; answers whether to go on. */
export function ask(question, { yes = "Go on", danger = true } = {}) {
  const no = el("button", { class: "btn", type: "button" }, "Cancel");
  const go = el("button", { class: `btn primary ${danger ? "danger" : ""}`, type: "button" }, yes);
  const box = el("dialog", { "aria-label": question }, el("div", { class: "dialog-body" }, el("p", {}, question), el("div", { class: "dialog-actions" }, no, go)));
  document.body.append(box);
  return new Promise((answer) => {
    box.addEventListener("close", () => { box.remove(); answer(box.returnValue === "yes"); });
    no.addEventListener("click", () => box.close());
    go.addEventListener("click", () => box.close("yes"));
    box.showModal();
    no.focus();
  });
}

async function copy(button) {
  const text = button.dataset.copyText ?? $(button.dataset.copy)?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard where the page isn't served by HTTPS: select it, so that a key does the rest.
    const target = button.dataset.copy && $(button.dataset.copy);
    if (target) getSelection().selectAllChildren(target);
    toast("Your browser does not let this page copy. The text is selected: copy it by keyboard.", "warn");
    return;
  }
  const label = $("[data-copy-label]", button);
  if (!label) { toast("Copied"); return; }
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = "Copy"; }, 2000);
}

function changeTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  root.dataset.theme = theme;
  const [prefix, secure] = location.protocol === "https:" ? ["__Host-", "; Secure"] : ["", ""];
  document.cookie = `${prefix}theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

document.addEventListener("click", (event) => {
  const at = event.target.closest?.("[data-copy], [data-copy-text], [data-theme-toggle], [data-dialog], [data-close]");
  if (event.target.matches?.("dialog")) event.target.close();
  $$("details[data-menu][open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  if (!at) return;
  const { copy: target, copyText, themeToggle, dialog, close } = at.dataset;
  if (target !== undefined || copyText !== undefined) copy(at);
  else if (themeToggle !== undefined) changeTheme();
  else if (close !== undefined) at.closest("dialog")?.close();
  else if (dialog && !event.ctrlKey && !event.metaKey && openDialog(dialog)) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.("details[data-menu][open]");
  if (menu) { menu.open = false; $("summary", menu).focus(); }
});

// A form is sent once: its button waits. One that cannot be taken back asks first.
document.addEventListener("submit", (event) => {
  const { confirm: question, confirmed, yes } = event.target.dataset;
  if (question && confirmed === undefined) {
    const form = event.target, button = event.submitter;
    event.preventDefault();
    ask(question, { yes: yes || button?.textContent.trim() || "Go on" }).then((sure) => {
      if (!sure) return;
      form.dataset.confirmed = "";
      form.requestSubmit(button);
    });
    return;
  }
  if (event.target.method === "post" && !event.defaultPrevented) {
    const button = event.submitter;
    setTimeout(() => { if (button && !event.defaultPrevented) { button.disabled = true; button.setAttribute("aria-busy", "true"); } });
  }
});
addEventListener("pageshow", (event) => {
  if (event.persisted) $$('button[aria-busy="true"]').forEach((button) => { button.disabled = false; button.removeAttribute("aria-busy"); });
});

enhance();
// Where one is stands in view, also at the end of a row that is longer than the phone is wide.
for (const here of $$(".side-nav [aria-current]")) {
  const row = here.parentElement, at = here.offsetLeft - row.offsetLeft;
  if (at + here.offsetWidth > row.clientWidth) row.scrollLeft = at - 16;
}
