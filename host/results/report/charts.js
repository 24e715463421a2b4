/* charts.js: how each metric is spread over the fleet, and who ran when. Drawn when they come into sight. */
const CARDS_AT_FIRST = 24;
const DOTS = 300;          /* outliers that a chart shows, the worst first */
const BINS = 36;
const FAR = 5 * 1.4826;    /* median absolute deviations from the median: an outlier */

const charts = new Set();
Chart.defaults.animation = false;
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function keep(chart) { charts.add(chart); return chart; }
function drop(chart) { charts.delete(chart); chart.destroy(); }

/* Lines across a chart: options.plugins.bounds.lines = [{ axis, at, text }]. */
const boundsPlugin = {
  id: "bounds",
  afterDatasetsDraw(chart, _, options) {
    const { ctx, chartArea: area, scales } = chart;
    ctx.save();
    ctx.setLineDash([5, 4]);
    ctx.font = `11px ${Chart.defaults.font.family}`;
    for (const [k, { axis, at, text, isMedian }] of (options.lines || []).entries()) {
      ctx.strokeStyle = ctx.fillStyle = color(isMedian ? "quiet" : "failed");
      const p = Math.round(scales[axis].getPixelForValue(at)) + 0.5;
      ctx.beginPath();
      if (axis === "x") { ctx.moveTo(p, area.top); ctx.lineTo(p, area.bottom); }
      else { ctx.moveTo(area.left, p); ctx.lineTo(area.right, p); }
      ctx.stroke();
      if (!text) continue;
      const wide = ctx.measureText(text).width + 6;
      const right = p + wide < area.right;
      ctx.textAlign = right ? "left" : "right";
      ctx.fillText(text, right ? p + 4 : p - 4, area.top + 10 + (k % 4) * 13);
    }
    ctx.restore();
  },
};
Chart.register(boundsPlugin);

/* ---- one metric over the fleet ---- */

function quantile(sorted, q) {
  const at = (sorted.length - 1) * q, low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

function spreadOf(m) {
  const servers = [], values = [];
  let missed = 0;
  for (let k = 0; k < m.v.length; k++) {
    if (m.v[k] === null) continue;
    if (m.judged[k] === "2") missed++;
    if (typeof m.v[k] !== "number") continue;
    servers.push(m.server(k));
    values.push(m.v[k]);
  }
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const median = n ? quantile(sorted, 0.5) : NaN;
  const mad = n ? quantile(sorted.map((v) => Math.abs(v - median)).sort(), 0.5) : 0;
  const far = mad > 0 && n >= 8 ? FAR * mad : Infinity;
  const odd = [];
  for (let k = 0; k < n; k++) {
    const isMissed = m.isMissed(servers[k]);
    if (isMissed || Math.abs(values[k] - median) > far) odd.push({ server: servers[k], value: values[k], missed: isMissed });
  }
  odd.sort((a, b) => b.missed - a.missed || Math.abs(b.value - median) - Math.abs(a.value - median) || a.server - b.server);
  return { servers, values, sorted, n, median, mad, missed, odd, min: n ? sorted[0] : NaN, max: n ? sorted[n - 1] : NaN };
}

/* The part of the axis that shows the fleet: what is very far out stands at its edge. */
function windowOf(s, bounds) {
  const reach = s.mad > 0 ? 12 * 1.4826 * s.mad : Infinity;
  let low = Math.max(s.min, s.median - reach), high = Math.min(s.max, s.median + reach);
  const wide = high - low || Math.abs(s.median) * 0.1 || 1;
  const shown = [], away = [];
  for (const b of bounds) {
    if (b.at >= low - 1.5 * wide && b.at <= high + 1.5 * wide) shown.push(b); else away.push(b);
  }
  low = Math.min(low, ...shown.map((b) => b.at));
  high = Math.max(high, ...shown.map((b) => b.at));
  const margin = (high - low || wide) * 0.03;
  return { low: low - margin, high: high + margin, shown, away };
}

/* The bounds that hold for anybody, each once. */
function allBounds(m) {
  const found = new Map();
  for (const rule of m.rules) {
    for (const b of boundsOf(rule)) if (typeof b.at === "number") found.set(b.text, b);
    const p = rule.peers;
    if (p && typeof p.median === "number") {
      found.set(`m${p.median}`, { at: p.median, isMedian: true, text: `median${p.group ? ` ${visible(p.group)}` : ""}` });
    }
  }
  return [...found.values()];
}

function drawSpread(box, m, s) {
  const bounds = allBounds(m);
  const { low, high, shown } = windowOf(s, bounds.slice(0, 12));
  const width = (high - low) / BINS;
  const counts = new Array(BINS).fill(0), inBin = Array.from({ length: BINS }, () => []);
  s.values.forEach((v, k) => {
    if (v < low || v > high) return;
    const b = Math.min(BINS - 1, Math.floor((v - low) / width));
    counts[b]++;
    inBin[b].push(s.servers[k]);
  });
  const most = Math.max(...counts, 1);
  const dots = s.odd.slice(0, DOTS).map((o, k) => ({ ...o, x: Math.max(low, Math.min(high, o.value)), y: 0.06 + (k % 5) * 0.1 }));
  const isAway = (o) => o.value < low || o.value > high;
  return keep(new Chart(box.firstChild, {
    data: {
      datasets: [
        { type: "scatter", yAxisID: "dots", data: dots, clip: 8, pointRadius: 5, pointHoverRadius: 7, pointHitRadius: 6,
          pointStyle: dots.map((o) => (isAway(o) ? "triangle" : "circle")),
          pointRotation: dots.map((o) => (o.value < low ? -90 : o.value > high ? 90 : 0)),
          backgroundColor: dots.map((o) => color(o.missed ? "failed" : "odd")), borderColor: color("card"), borderWidth: 1 },
        { type: "bar", data: counts.map((y, b) => ({ x: low + (b + 0.5) * width, y: y || null })), backgroundColor: color("bar"),
          barPercentage: 1, categoryPercentage: 1, minBarLength: 2, grouped: false },
      ],
    },
    options: {
      responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
      onClick: (_, hits) => {
        const hit = hits[0];
        if (!hit) return;
        if (hit.datasetIndex === 0) openServer(dots[hit.index].server);
        else if (counts[hit.index]) showOnly(inBin[hit.index], `${m.title} ${rangeOf(hit.index)}`);
      },
      onHover: (event, hits) => { event.native.target.style.cursor = hits.length ? "pointer" : ""; },
      scales: {
        x: { type: "linear", min: low, max: high, offset: false, grid: { display: false },
          ticks: { color: color("quiet"), maxTicksLimit: 6, maxRotation: 0, includeBounds: false, callback: (v) => formatNumber(v) } },
        y: { beginAtZero: true, max: most, ticks: { color: color("quiet"), precision: 0, maxTicksLimit: 4, callback: (v) => formatNumber(v) }, grid: { color: color("line") } },
        dots: { axis: "y", display: false, min: 0, max: 1 },
      },
      plugins: {
        legend: { display: false },
        bounds: { lines: shown.map((b) => ({ axis: "x", at: b.at, text: b.text, isMedian: b.isMedian })) },
        tooltip: { displayColors: false, callbacks: {
          title: () => "",
          label: (item) => (item.datasetIndex === 0
            ? `${visible(S.id[dots[item.dataIndex].server])}: ${formatWith(dots[item.dataIndex].value, m.unit)}`
            : `${rangeOf(item.dataIndex)}: ${plural(counts[item.dataIndex], "server")}`),
        } },
      },
    },
  }));
  function rangeOf(b) { return `${formatNumber(low + b * width)} – ${formatNumber(low + (b + 1) * width)}`; }
}

function makeCard(m, k) {
  const s = spreadOf(m);
  const bounds = allBounds(m);
  const away = s.n ? windowOf(s, bounds.slice(0, 12)).away : bounds;
  const box = el("div", { class: "chart", role: "img",
    "aria-label": visible(`Histogram of ${m.title}: ${plural(s.n, "server")}, ${formatNumber(s.min)} to ${formatNumber(s.max)}, median ` +
      `${formatNumber(s.median)}, ${s.missed} missed`) }, el("canvas", {}));
  const rules = [...new Set(m.rules.map((r) => ruleInWords(r, m.unit)).filter(Boolean))];
  const card = el("article", { class: "card" },
    el("h3", {}, m.title, m.unit ? el("span", { class: "quiet" }, ` in ${m.unit}`) : null),
    el("p", { class: "stats quiet" }, `${plural(s.n, "server")} · ${formatNumber(s.min)} – ${formatNumber(s.max)} · median ${formatNumber(s.median)} · `,
      s.missed ? el("span", { class: "missed" }, `${s.missed} missed`) : rules.length ? "none missed" : "no threshold"),
    rules.length ? el("p", { class: "quiet" }, rules.slice(0, 3).join("; ") + (rules.length > 3 ? `; and ${rules.length - 3} more` : ""),
      away.length && s.n ? ` (${away.map((b) => b.text).slice(0, 3).join(", ")}: beyond the chart)` : "") : null,
    s.n ? box : null,
    s.odd.length ? el("div", { class: "names" }, s.odd.slice(0, 6).map((o) =>
      el("button", { type: "button", class: o.missed ? "missed" : "odd", onclick: () => openServer(o.server) },
        `${S.id[o.server]} ${formatNumber(o.value)}`)),
    el("button", { type: "button", onclick: () => {
      table.metrics.add(k);
      makeColumns();
      showOnly(s.odd.map((o) => o.server), `outliers of ${m.title}`, { key: `m${k}`, down: false });
    } }, s.odd.length > 6 ? `all ${s.odd.length} outliers` : "in the table")) : null);
  if (s.n) whenSeen(box, () => drawSpread(box, m, s));
  return card;
}

/* Draw when the box comes near the window, and anew with each theme. */
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    entry.target.chart = entry.target.draw();
  }
}, { rootMargin: "300px" });

function whenSeen(box, draw) {
  box.draw = draw;
  box.classList.add("drawn");
  seen.observe(box);
}

function redraw() {
  for (const box of document.querySelectorAll(".drawn")) {
    if (!box.chart) continue;
    drop(box.chart);
    box.chart = box.draw();
  }
}

function startCards() {
  $("metrics").hidden = metrics.length === 0;
  const show = (from, to) => $("cards").append(...metrics.slice(from, to).map((m, k) => makeCard(m, from + k)));
  show(0, CARDS_AT_FIRST);
  if (metrics.length <= CARDS_AT_FIRST) return;
  const more = el("button", { type: "button", class: "control", onclick: () => {
    show($("cards").children.length, $("cards").children.length + CARDS_AT_FIRST);
    more.hidden = $("cards").children.length >= metrics.length;
  } }, `Show more of ${metrics.length} metrics`);
  $("metrics").append(more);
}

/* ---- who ran when ---- */

function mostAtOnce(servers, end) {
  const starts = Float64Array.from(servers, (i) => S.start[i]).sort(), ends = Float64Array.from(servers, end).sort();
  let most = 0;
  for (let k = 0, over = 0; k < starts.length; k++) {
    while (ends[over] <= starts[k] && over < k) over++;
    most = Math.max(most, k + 1 - over);
  }
  return most;
}

/* Lanes, for each worker as few as can be: no two servers of a lane ran at the same time. */
function makeLanes() {
  const ran = [];
  for (let i = 0; i < N; i++) if (S.start[i] !== null) ran.push(i);
  const workerOf = (i) => (S.worker ? S.worker[i] : -1);
  /* Beginning and duration are whole milliseconds of two clocks: their sum may be one too late, so that the next server would seem to overlap. */
  const end = (i) => S.start[i] + Math.max(S.ms[i] - 1, 0);
  const lanes = [], of = new Int32Array(N).fill(-1), workers = [];
  const groups = new Map();
  for (const i of ran) if (!groups.has(workerOf(i))) groups.set(workerOf(i), []);
  for (const i of ran) groups.get(workerOf(i)).push(i);
  for (const worker of [...groups.keys()].sort((a, b) => a - b)) {
    const starts = groups.get(worker).sort((a, b) => S.start[a] - S.start[b] || a - b);
    const ends = [...starts].sort((a, b) => end(a) - end(b) || S.start[a] - S.start[b] || a - b);
    const free = [], first = lanes.length;
    let done = 0;
    for (const i of starts) {
      while (done < ends.length && of[ends[done]] >= 0 && end(ends[done]) <= S.start[i]) free.push(of[ends[done++]]);
      of[i] = free.length ? free.pop() : lanes.push([]) - 1;
      lanes[of[i]].push(i);
    }
    workers.push({ worker, first, n: lanes.length - first });
  }
  return { ran, lanes, of, workers, end };
}

function drawTimeline(box, t) {
  const total = Math.max(D.run.ms, ...t.lanes.map((lane) => t.end(lane[lane.length - 1])), 1);
  const colors = D.statuses.map((name) => color(name === "passed" ? "bar" : name)); /* what passed stands back */
  const unit = total < 120000 ? [1000, "s"] : total < 7200000 ? [60000, "min"] : [3600000, "h"];
  const bars = {
    id: "bars",
    afterDatasetsDraw(chart) {
      const { ctx, chartArea: area, scales: { x, y } } = chart;
      const high = (area.bottom - area.top) / t.lanes.length;
      ctx.save();
      for (const i of t.ran) {
        const left = x.getPixelForValue(S.start[i] / unit[0]), right = x.getPixelForValue(t.end(i) / unit[0]);
        ctx.fillStyle = colors[S.status[i]];
        ctx.fillRect(left, y.getPixelForValue(t.of[i]), Math.max(1, right - left - 0.5), Math.max(0.5, high - (high > 4 ? 1 : 0)));
      }
      ctx.strokeStyle = color("line");
      ctx.fillStyle = color("quiet");
      ctx.font = `11px ${Chart.defaults.font.family}`;
      ctx.textAlign = "right";
      for (const w of t.workers) {
        const top = y.getPixelForValue(w.first);
        ctx.beginPath(); ctx.moveTo(area.left, top); ctx.lineTo(area.right, top); ctx.stroke();
        if (w.worker >= 0) ctx.fillText(`worker ${w.worker}`, area.left - 6, top + Math.min(high * w.n, 24) / 2 + 4);
      }
      ctx.restore();
    },
  };
  const at = (event) => {
    const { x, y } = chart.scales;
    const lane = t.lanes[Math.floor(y.getValueForPixel(event.y))];
    const ms = x.getValueForPixel(event.x) * unit[0], slack = (x.getValueForPixel(3) - x.getValueForPixel(0)) * unit[0];
    return lane ? lane.find((i) => ms >= S.start[i] - slack && ms <= t.end(i) + slack) : undefined;
  };
  const chart = keep(new Chart(box.firstChild, {
    type: "scatter",
    data: { datasets: [{ data: [] }] },
    plugins: [bars],
    options: {
      responsive: true, maintainAspectRatio: false, events: ["mousemove", "click", "mouseout", "touchstart"],
      layout: { padding: { left: S.worker ? 64 : 0 } },
      onHover: (event) => {
        const i = at(event);
        event.native.target.style.cursor = i === undefined ? "" : "pointer";
        $("timeline-at").textContent = i === undefined ? "\u00a0" : visible(inWords(i));
      },
      onClick: (event) => { const i = at(event); if (i !== undefined) openServer(i); },
      scales: {
        x: { type: "linear", min: 0, max: total / unit[0], ticks: { color: color("quiet"), maxRotation: 0, includeBounds: false, callback: (v) => `${formatNumber(v)} ${unit[1]}` },
          grid: { color: color("line") } },
        y: { display: false, min: 0, max: t.lanes.length, reverse: true },
      },
      plugins: { legend: { display: false }, tooltip: { enabled: false } },
    },
  }));
  return chart;
  function inWords(i) {
    const worker = S.worker && S.worker[i] >= 0 ? `, worker ${S.worker[i]}` : "";
    return `${S.id[i]}: ${statusName(S.status[i])}, from ${formatMs(S.start[i])} to ${formatMs(t.end(i))}${worker}`;
  }
}

function startTimeline() {
  const t = makeLanes();
  $("timeline").hidden = t.ran.length === 0;
  if (!t.ran.length) return;
  const box = $("timeline-chart");
  box.style.height = `${Math.max(90, Math.min(560, t.lanes.length * 12 + 40))}px`;
  box.setAttribute("role", "img");
  const workers = t.workers.length > 1 || S.worker ? `, ${plural(t.workers.length, "worker")}` : "";
  const words = `${plural(t.ran.length, "server")} in ${formatMs(D.run.ms)}, at most ${mostAtOnce(t.ran, t.end)} at once${workers}.`;
  $("timeline-note").textContent = `${words} One bar a server, in the colour of its status; a press opens it.`;
  box.setAttribute("aria-label", words);
  whenSeen(box, () => drawTimeline(box, t));
}
