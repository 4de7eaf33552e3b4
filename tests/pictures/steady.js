// Write the same ids, times and lengths of time over those of this run, and hold all motion still.
() => {
  const shown = {
    full: "Nov 24, 2026, 11:02 AM", date: "Nov 24, 2026", clock: "11:02:00 AM", ago: "2 minutes ago", since: "2m ago",
  };
  for (const time of document.querySelectorAll("time")) {
    time.textContent = shown[time.dataset.time] || shown.full;
    time.removeAttribute("title");
  }
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const steady = node.data
      .replace(/\b([a-z]{2,4})_[0-9a-hjkmnp-tv-z]{26}\b/g, "$1_01jqz8x1f2e3s4r5y6t7v8w9p0")
      .replace(/\b(oc[a-z])_[A-Za-z0-9_-]{20,}/g, "$1_9sK2mQ4xT7vB1nC8zR5wL3pD6fG0hJ")
      .replace(/(?<!≤ )\b\d+(\.\d+)? (ms|s)\b/g, "12 s")
      .replace(/\b\d{1,2} [A-Z][a-z]{2} 20\d\d, \d\d:\d\d UTC/g, "24 Nov 2026, 11:02 UTC")
      .replace(/http:\/\/127\.0\.0\.1:\d+/g, "https://openclaw.jobs");
    if (steady !== node.data) node.data = steady;
  }
  const spans = ["41 s", "12 s", "1 min 28 s", "6.5 s", "34 s"];
  document.querySelectorAll("#feed li > span").forEach((line, at) => {
    line.textContent = line.textContent.replace("12 s", spans[at % spans.length]);
  });
  for (const field of document.querySelectorAll("input, textarea")) {
    field.value = field.value.replace(/http:\/\/127\.0\.0\.1:\d+/g, "https://openclaw.jobs");
  }
  // The days below a chart: its last bar is always today.
  for (const days of document.querySelectorAll(".chart-x")) {
    const texts = ["26 Oct", "10 Nov", "24 Nov"];
    [...days.children].forEach((day, at) => {
      if (/^\d{1,2} [A-Z][a-z]{2}$/.test(day.textContent)) day.textContent = texts[at];
    });
  }
  document.activeElement?.blur();
}
