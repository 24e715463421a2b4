/* server.js: all that is known of one server, in a dialog: what went wrong, its metrics with former runs, its logs. */
const METRICS_AT_FIRST = 12;
let opened = -1;

function failureOf([status, type, where, , message]) {
  return el("div", { class: `failure st-${statusName(status)}` },
    el("div", {}, el("span", { class: "tag" }, statusName(status)), where ? ` in ${where}` : "", type ? ` · ${type}` : ""),
    el("pre", {}, message || ""));
}

function drawPast(box, m, server, values) {
  const runs = past.runs.map(([, started]) => formatTime(started)).concat("this run");
  const rule = m.ruleOf(server);
  const now = m.number(server);
  const line = [...values, Number.isNaN(now) ? null : now];
  const there = line.filter((v) => typeof v === "number");
  const bounds = boundsOf(rule).filter((b) => typeof b.at === "number");
  const low = Math.min(...there), high = Math.max(...there), wide = high - low || Math.abs(high) * 0.1 || 1;
  const near = bounds.filter((b) => b.at > low - 2 * wide && b.at < high + 2 * wide);
  const last = line.length - 1;
  return keep(new Chart(box.firstChild, {
    type: "line",
    data: { labels: runs, datasets: [{ data: line, borderColor: color("accent"), borderWidth: 1.5, spanGaps: true,
      pointRadius: line.map((_, k) => (k === last ? 5 : 2.5)),
      pointBackgroundColor: line.map((_, k) => (k === last && m.isMissed(server) ? color("failed") : color("accent"))) }] },
    options: {
      responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
      scales: {
        x: { display: false },
        y: { suggestedMin: Math.min(low - wide * 0.1, ...near.map((b) => b.at)), suggestedMax: Math.max(high + wide * 0.1, ...near.map((b) => b.at)),
          ticks: { color: color("quiet"), maxTicksLimit: 3, callback: (v) => formatNumber(v) }, grid: { color: color("line") } },
      },
      plugins: { legend: { display: false }, bounds: { lines: near.map((b) => ({ axis: "y", at: b.at })) },
        tooltip: { displayColors: false, callbacks: { label: (item) => formatWith(item.parsed.y, m.unit) } } },
    },
  }));
}

function metricOf(m, k, server) {
  const values = pastOf(k, server);
  const known = values.filter((v) => v !== null);
  const missed = m.isMissed(server);
  const at = m.at(server);
  const samples = m.samples && m.samples[at] && m.samples[at].length ? m.samples[at] : null;
  const parts = [
    el("div", { class: "name" }, m.title),
    el("div", { class: missed ? "value missed" : "value" }, formatWith(m.value(server), m.unit), missed ? " missed" : ""),
    el("div", { class: "quiet" }, ruleInWords(m.ruleOf(server), m.unit) || "no threshold",
      samples ? el("div", {}, `median of ${samples.length}: ${samples.map(formatNumber).join(", ")}`) : null,
      known.length ? el("div", {}, `former runs: ${formatNumber(Math.min(...known))} – ${formatNumber(Math.max(...known))}`) : null),
  ];
  const box = known.length ? el("div", { class: "spark", role: "img",
    "aria-label": `Former runs, oldest first: ${values.map(formatNumber).join(", ")}; this run: ${formatNumber(m.value(server))}` },
  el("canvas", {})) : null;
  if (box) whenSeen(box, () => drawPast(box, m, server, values));
  return el("div", { class: "metric" }, parts, box);
}

function metricsOf(server) {
  const mine = metrics.map((m, k) => [m, k]).filter(([m]) => m.has(server));
  if (!mine.length) return null;
  const list = el("div", {});
  const show = (from, to) => list.append(...mine.slice(from, to).map(([m, k]) => metricOf(m, k, server)));
  show(0, METRICS_AT_FIRST);
  const more = mine.length > METRICS_AT_FIRST && el("button", { type: "button", onclick: () => {
    more.remove();
    show(METRICS_AT_FIRST, mine.length);
  } }, `${mine.length - METRICS_AT_FIRST} more metrics`);
  const n = past.runs.length;
  return [el("h3", {}, "Metrics"),
    el("p", { class: "quiet" }, n ? `With ${plural(n, "former run")} of the script, ${formatTime(past.runs[0][1])} to now` +
      `${past.shortened ? "; older ones would have made this page too large" : ""}.` : "No former run of this script is known here."),
    list, more || null];
}

function stepOf(step, server, log, note) {
  const k = step.at(server);
  const status = statusName(step.status[k]);
  const head = [el("span", { class: `tag st-${status}` }, status), ` ${step.name}`,
    status === "skipped" ? "" : el("span", { class: "quiet" }, ` from ${formatMs(step.start[k])}, for ${formatMs(step.ms[k])}`)];
  const said = note ? el("p", { class: "quiet" }, `Measured ${note[1]} times.${note[2] ? ` Before: ${note[2]}` : ""}`) : null;
  if (!log && !said) return el("div", { class: "step" }, el("p", {}, head));
  return el("details", { class: "step", open: status !== "passed" },
    el("summary", {}, head), said,
    log && log[1] !== null ? el("pre", { tabindex: "0" }, log[1])
      : log ? el("p", { class: "quiet" }, `Its log of ${log[2]} bytes is not in this page, which would be too large. muster report --json has it.`) : null);
}

function contentsOf(server) {
  const note = notes.get(server) || { failures: [], steps: [] };
  const mine = logsOf(server);
  const status = statusName(S.status[server]);
  const worker = S.worker && S.worker[server] >= 0 ? ` · worker ${S.worker[server]}` : "";
  const ran = steps.filter((s) => s.has(server));
  return [
    el("p", {}, el("span", { class: `tag st-${status}` }, status),
      S.start[server] === null ? " · never started" : el("span", { class: "quiet" },
        ` · began ${formatMs(S.start[server])} into the run, took ${formatMs(S.ms[server])}${worker}`)),
    note.failures.map(failureOf),
    note.mark ? el("p", { class: "notice" }, `Mark ${note.mark[0]}${note.mark[2] ? `: ${note.mark[2]}` : ""}`,
      note.mark[1] ? el("pre", {}, note.mark[1]) : null) : null,
    note.claim !== null && note.claim !== undefined ? el("p", { class: "notice" }, `An installation may be left behind. ${note.claim}`) : null,
    (note.unended || []).map((command) => el("p", { class: "notice" }, "May still run there: ", el("code", {}, command))),
    metricsOf(server),
    ran.length ? [el("h3", {}, "Steps"), ran.map((s) => stepOf(s, server, mine.find(([name]) => name === s.name),
      (note.steps || []).find(([name]) => name === s.name)))] : null,
  ].flat(2);
}

function openServer(server) {
  const dialog = $("server");
  if (server === undefined || server < 0) return;
  forgetCharts();
  opened = server;
  const place = table.order.indexOf(server);
  const step = (by) => el("button", { type: "button", "aria-label": by < 0 ? "Previous server" : "Next server", title: by < 0 ? "Previous (left arrow)" : "Next (right arrow)",
    disabled: place < 0 || place + by < 0 || place + by >= table.order.length, onclick: () => move(by) }, by < 0 ? "◀" : "▶");
  dialog.replaceChildren(
    el("div", { class: "bar" }, el("h2", { id: "server-name" }, S.id[server]), step(-1), step(1),
      el("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Close")),
    el("div", { class: "body" }, contentsOf(server)));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function move(by) {
  const place = table.order.indexOf(opened) + by;
  if (place - by < 0 || place < 0 || place >= table.order.length) return;
  choose(place);
  openServer(table.order[place]);
  $("server").querySelector("button:last-child").focus();
}

function forgetCharts() {
  for (const box of $("server").querySelectorAll(".drawn")) {
    seen.unobserve(box);
    if (box.chart) drop(box.chart);
  }
}

function startServer() {
  const dialog = $("server");
  dialog.addEventListener("close", () => { forgetCharts(); dialog.replaceChildren(); opened = -1; });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("pre")) return;
    if (event.key === "ArrowLeft") move(-1);
    else if (event.key === "ArrowRight") move(1);
  });
}
