// The composer of a conversation: the price while one writes, the draft on the server, the sending.

import { $, csrfToken, el, money, request } from "./app.js";

const PAUSE_MS = 350;
const form = $("#composer"), prompt = $("#prompt"), send = $("#send"), shown = $("[data-price]", form);
const field = (name) => form.elements[name];
const freshKey = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
const notice = (tone, ...parts) => el("div", { class: `notice ${tone}` }, el("div", {}, ...parts));
const trouble = (...parts) => $("#trouble").replaceChildren(...parts);

/** The price that the page came with. */
function first() {
  const { price, balance, leftOut } = form.dataset;
  if (!price) return null;
  return { least: !prompt.value.trim(), price_cents: +price, balance_cents: +balance, affordable: +price <= +balance, left_out: +leftOut };
}

/**
 * @param {{where: () => string, begun: (id: string) => void, sent: () => Promise<void>, refused: (code: string) => void, say: (text: string) => void}} page
 *   where: the conversation, "" before it has begun; begun: it has just got its id; sent: a message
 *   is on its way; refused: why it is not; say: for screen readers.
 */
export function makeComposer({ where, begun, sent, refused, say }) {
  let price = first(), timer, saving = Promise.resolve(), asked = 0, sending = false, waiting = send.disabled;
  const message = () => ({ conversation_id: where(), prompt: prompt.value, category: field("category").value });

  function show() {
    shown.removeAttribute("aria-busy");
    if (price?.price_cents == null) shown.replaceChildren(el("span", { class: "num" }, money(+form.dataset.balance)), " left");
    else {
      shown.replaceChildren(price.least ? "from " : "", el("span", { class: "num" }, money(price.price_cents)), ` of ${money(price.balance_cents)}`);
      field("max_price_cents").value = price.price_cents;
    }
    if (price?.affordable === false) lacking(price);
    else if (price?.problem && price.code !== "wrong_state") trouble(notice("bad", price.problem));
    else trouble();
    hint();
  }

  function hint() {
    const left = price?.left_out, line = $("[data-hint]");
    const text = waiting ? "You can send more once it is answered."
      : left ? `There is no room for ${left === 1 ? "the oldest message" : `the oldest ${left} messages`}: the worker will not see ${left === 1 ? "it" : "them"}.` : "";
    if (text) line.textContent = text;
    else line.replaceChildren(el("span", {}, el("kbd", {}, "Enter"), " sends, ", el("kbd", {}, "Shift"), " ", el("kbd", {}, "Enter"), " begins a line."));
  }

  function lacking({ price_cents: cost, balance_cents: has }) {
    const link = el("a", { href: `/deposit?return_to=${encodeURIComponent(where() ? `/chat/${where()}` : "/chat")}` }, "Add credit");
    trouble(notice("warn", el("strong", {}, "Not enough credit. "), `This costs ${money(cost)} and you have ${money(has)}. `, link, "; your text stays here."));
  }

  // The way to the deposit, whether it stood here from the start or not, leaves no text behind.
  $("#trouble").addEventListener("click", async (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    await keep();
    location.assign(link.href);
  });

  // Nor does any other: what was written in the last moment goes its way while the page is left.
  addEventListener("pagehide", () => {
    if (!timer) return;
    forget();
    fetch("/chat/draft", { method: "POST", keepalive: true, credentials: "same-origin", headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": csrfToken() }, body: JSON.stringify(message()) }).catch(() => { /* nobody is left to be told */ });
  });

  function forget() { clearTimeout(timer); timer = undefined; }

  /** Keep the draft, and learn the price; of answers that overtake each other the last question's counts. */
  function keep() {
    forget();
    const number = ++asked;
    saving = saving.then(async () => {
      if (number !== asked) return;
      let answer;
      try {
        answer = await request("/chat/draft", { headers: { Accept: "application/json" }, json: message() });
      } catch (error) {
        answer = { problem: error.message, code: error.code };
      }
      if (number === asked) { price = answer; show(); }
    });
    return saving;
  }

  prompt.addEventListener("input", () => {
    shown.setAttribute("aria-busy", "true");
    clearTimeout(timer);
    timer = setTimeout(keep, PAUSE_MS);
  });
  field("category").addEventListener("change", keep);

  prompt.addEventListener("keydown", (event) => {
    // A finger has no Shift; there Enter begins a line and the button sends.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    if (send.disabled) say("The last message is still being answered.");
    else if (prompt.value.trim()) form.requestSubmit(send);
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending || !prompt.value.trim()) return;
    sending = send.disabled = true;
    send.setAttribute("aria-busy", "true");
    forget();
    asked += 1;
    // A draft that is on its way must not come after what is sent, and be there again.
    await saving;
    try {
      const body = { ...message(), key: field("key").value, max_price_cents: field("max_price_cents").value };
      const done = await request("/chat/send", { headers: { Accept: "application/json" }, json: body });
      if (!where()) begun(done.conversation_id);
      waiting = true;
      clear();
      await sent();
    } catch (error) {
      const cost = error.problem?.price_cents;
      if (error.code === "insufficient_balance") lacking(error.problem);
      else if (error.code === "limit_exceeded" && cost != null) {
        await keep();
        trouble(notice("warn", `This costs ${money(cost)}, more than was shown. Send it again if you agree.`));
      } else trouble(notice("bad", error.message));
      refused(error.code);
    } finally {
      sending = false;
      send.removeAttribute("aria-busy");
      send.disabled = waiting;
      // Whoever has gone elsewhere meanwhile is not called back.
      if (document.activeElement === document.body || form.contains(document.activeElement)) prompt.focus();
    }
  });

  function clear() {
    forget();
    asked += 1;
    prompt.value = "";
    price = null;
    field("key").value = freshKey();
    show();
  }

  return {
    clear,
    /** Another browser of the buyer's has sent this. */
    sentElsewhere: (text) => { if (!sending && prompt.value.trim() === text.trim()) clear(); },
    /** Whether the last message waits for its answer, so that none can follow. */
    wait(now) {
      if (waiting === now) return;
      waiting = now;
      if (!sending) send.disabled = now;
      if (now) hint();
      else keep();
    },
    balance(cents) {
      form.dataset.balance = cents;
      if (price?.balance_cents != null) { price.balance_cents = cents; price.affordable = price.price_cents <= cents; }
      show();
    },
    write(text) { prompt.value = text; prompt.focus(); keep(); },
    begin() { if (prompt.value.trim()) keep(); else hint(); if (matchMedia("(pointer: fine)").matches) prompt.focus(); },
  };
}
