// The operator's pages: parts that are fetched anew while they are looked at, and a simulation that
// is watched as it runs.

import { $$ } from "./app.js";
import { refresh } from "./live.js";

for (const part of $$("[data-fragment][data-every]")) {
  let busy = false;
  setInterval(async () => {
    if (document.hidden || busy || !navigator.onLine) return;
    busy = true;
    try { await refresh(part); } catch { /* the next time will tell */ } finally { busy = false; }
  }, Number(part.dataset.every) * 1000);
}
