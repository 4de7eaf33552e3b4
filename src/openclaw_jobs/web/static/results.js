// A worker's text: its code gets a button to copy it.

import { $, $$, el, toast } from "./app.js";

/** Copy a text, and say so on the button or in passing. */
export async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    toast("Your browser does not let this page copy. Select the text and copy it by keyboard.", "warn");
    return;
  }
  const label = button && $("[data-label]", button);
  if (!label) { toast("Copied"); return; }
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = "Copy"; }, 2000);
}

/** Give each piece of code within `scope` its button. */
export function furnish(scope = document) {
  for (const bar of $$(".result .code > .code-bar", scope)) {
    if ($("button", bar)) continue;
    const button = el("button", { class: "btn quiet sm", type: "button" }, el("span", { "data-label": true }, "Copy"));
    button.addEventListener("click", () => copyText($("pre", bar.parentNode).textContent.replace(/\n$/, ""), button));
    bar.append(button);
  }
}

furnish();
