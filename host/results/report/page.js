/* page.js: the verdict at the top, the theme, and the beginning of it all. */
const CAUSES_AT_FIRST = 40;
const NAMES_AT_FIRST = 120;
const LONG_LIST = 240; /* characters */

/* ---- the verdict, in the words of the summary ---- */

function causeOf([status, cause, nodes, servers]) {
  const name = statusName(status);
  const inside = el("div", { class: "inside" });
  const fill = () => {
    if (inside.firstChild) return;
    inside.append(
      el("div", { class: "names" }, servers.slice(0, NAMES_AT_FIRST).map((i) =>
        el("button", { type: "button", onclick: () => openServer(i) }, S.id[i])),
      el("button", { type: "button", onclick: () => showOnly(servers, cause) },
        servers.length > NAMES_AT_FIRST ? `all ${servers.length} in the table` : "in the table")));
  };
  return el("details", { class: `cause st-${name}`, ontoggle: fill },
    el("summary", {}, el("span", { class: "tag" }, name.toUpperCase()), el("span", { class: "why" }, cause), el("code", { class: "nodes" }, nodes),
      el("span", { class: "count", "aria-label": plural(servers.length, "server") }, String(servers.length))),
    inside);
}

function startVerdict() {
  /* A line "Out of 800, 3 servers failed. failed_servers=[…]" is a sentence and a list. */
  const lines = D.lines.map((line) => line.match(/^(.*?)(?: (\w+_servers=\[.*\]))?$/s).slice(1));
  const [sentence, list] = lines.pop() || [""];
  $("headline").textContent = visible(sentence);
  $("headline").className = S.status.includes("0") ? "missed" : "";
  const counts = new Map();
  for (const digit of S.status) counts.set(digit, (counts.get(digit) || 0) + 1);
  $("counts").append(...[...counts.keys()].sort().map((digit) => el("button", { type: "button", class: `st-${statusName(digit)}`, onclick: () => {
    showOnly(null);
    $("status").value = digit;
    arrange();
    $("servers").scrollIntoView({ block: "start" });
    $("table").focus({ preventScroll: true });
  } }, el("b", {}, String(counts.get(digit))), ` ${statusName(digit)}`)));
  const show = (from) => $("causes").append(...D.rows.slice(from, from + CAUSES_AT_FIRST).map(causeOf));
  show(0);
  if (D.rows.length > CAUSES_AT_FIRST) {
    const more = el("button", { type: "button", class: "control", onclick: () => {
      const from = $("causes").children.length;
      show(from);
      more.hidden = from + CAUSES_AT_FIRST >= D.rows.length;
    } }, `Show more of ${D.rows.length} causes`);
    $("causes").after(more);
  }
  if (list) lines.push(["", list]);
  $("lines").append(...lines.map(([said, servers]) => {
    const code = servers ? el("code", {}, servers) : null;
    if (!code || servers.length < LONG_LIST) return el("li", {}, said, said && code ? " " : "", code);
    return el("li", {}, el("details", {}, el("summary", {}, said || `${servers.slice(0, servers.indexOf("="))}, as a list to copy`), code));
  }));
}

/* ---- the run ---- */

function listOf(json) {
  try {
    return Object.entries(JSON.parse(json)).map(([key, value]) => `${key} = ${typeof value === "string" ? value : JSON.stringify(value)}`).join("\n");
  } catch { return json; }
}

function startFacts() {
  const r = D.run;
  $("about").textContent = visible([r.description, formatTime(r.started), `took ${formatMs(r.ms)}`, plural(N, "server"),
    r.dry_run ? "dry run" : "", r.interrupted ? "interrupted" : r.state && r.state !== "finished" ? r.state : ""].filter(Boolean).join(" · "));
  const facts = [["Run", r.id], ["Script", r.script], ["State", r.state], ["By", [r.owner, r.host].filter(Boolean).join(" on ")],
    ["muster", r.version], ["Exit code", String(r.exit_code)], ["Interrupted by signal", r.signal || ""], ["After all", r.after_all],
    ["Parameters", r.params && listOf(r.params)], ["Thresholds", r.thresholds && listOf(r.thresholds)]];
  for (const [name, value] of facts) if (value) $("facts").append(el("dt", {}, name), el("dd", {}, el("pre", {}, value)));
}

/* ---- light and dark ---- */

function startTheme() {
  const names = ["auto", "light", "dark"];
  let at = 0;
  const set = (name, isFirst) => {
    at = Math.max(0, names.indexOf(name));
    if (at) document.documentElement.dataset.theme = names[at]; else delete document.documentElement.dataset.theme;
    $("theme").textContent = `Theme: ${names[at]}`;
    if (!isFirst) redraw();
  };
  let kept = null;
  try { kept = localStorage.getItem("muster-theme"); } catch { /* not every browser lets a file keep something */ }
  set(kept, true);
  $("theme").addEventListener("click", () => {
    set(names[(at + 1) % names.length]);
    try { localStorage.setItem("muster-theme", names[at]); } catch { /* as above */ }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

addEventListener("beforeprint", () => {
  fillPrint();
  for (const list of $("lines").querySelectorAll("details")) list.open = true;
});
addEventListener("afterprint", () => $("print-table").replaceChildren());

startTheme();
startVerdict();
startFacts();
startTable();
startCards();
startTimeline();
startServer();
requestAnimationFrame(() => setTimeout(() => {
  performance.mark("muster-ready");
  document.documentElement.dataset.ready = "";
}));
