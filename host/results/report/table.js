/* table.js: servers by metrics. Only the rows in sight are elements, however many servers there are. */
const ROW = 32; /* px, as in page.css */
const SHOWN_AT_FIRST = 24;

const table = {
  columns: [],     /* { key, head, unit, width, text(server), value(server), class(server) } */
  order: [],       /* servers that pass the filter, sorted */
  sort: { key: "status", down: false },
  only: null,      /* { servers: Set, label } */
  active: -1,      /* a place in order */
  pool: [],
  metrics: new Set(metrics.slice(0, SHOWN_AT_FIRST).map((_, i) => i)),
};

const causesOf = Array.from({ length: N }, () => "");
for (const [, cause, , servers] of D.rows) for (const server of servers) causesOf[server] += `${cause}\n`;
const haystack = S.id.map((id, i) => `${id}\n${causesOf[i]}`.toLowerCase());

function makeColumns() {
  const isNarrow = innerWidth < 640;
  const widest = S.id.reduce((n, id) => Math.max(n, id.length), 6);
  table.columns = [
    { key: "id", head: "Server", width: Math.min(Math.max(widest * 9 + 24, 100), isNarrow ? 130 : 260),
      text: (i) => S.id[i], value: (i) => S.id[i] },
    { key: "status", head: "Status", width: isNarrow ? 100 : 112, text: (i) => statusName(S.status[i]), value: (i) => S.status[i],
      class: (i) => `tag st-${statusName(S.status[i])}` },
    { key: "ms", head: "Time", width: isNarrow ? 84 : 104, text: (i) => (S.start[i] === null ? "–" : formatMs(S.ms[i])),
      value: (i) => (S.start[i] === null ? NaN : S.ms[i]) },
  ];
  for (const k of table.metrics) {
    const m = metrics[k];
    table.columns.push({
      key: `m${k}`, head: m.title, name: m.name, above: m.unit ? `${m.step} · ${m.unit}` : m.step, unit: m.unit,
      width: Math.min(Math.max(m.name.length * 8.5 + 34, 124), 240), grows: true, text: (i) => formatNumber(m.value(i)),
      value: (i) => m.number(i), class: (i) => (m.isMissed(i) ? "missed" : ""),
    });
  }
  if (!table.columns.some((c) => c.key === table.sort.key)) table.sort = { key: "status", down: false };
}

/* ---- which servers, in which order ---- */

const byName = new Intl.Collator("en", { numeric: true }).compare;

/* Places of the names in their order, worked out once: comparing names is slow. */
let nameRank = null;
function rankNames() {
  if (nameRank) return;
  nameRank = new Int32Array(N);
  S.id.map((_, i) => i).sort((a, b) => byName(S.id[a], S.id[b])).forEach((server, place) => { nameRank[server] = place; });
}

function compareBy(column, down) {
  if (column.key === "id") {
    rankNames();
    return (a, b) => (down ? nameRank[b] - nameRank[a] : nameRank[a] - nameRank[b]);
  }
  if (column.key === "status") return (a, b) => (down ? S.status[b] - S.status[a] : S.status[a] - S.status[b]) || a - b;
  const values = new Float64Array(N);
  for (let i = 0; i < N; i++) values[i] = column.value(i);
  return (a, b) => {
    const x = values[a], y = values[b];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
    return (down ? y - x : x - y) || a - b;
  };
}

function arrange() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const status = $("status").value;
  const found = [];
  for (let i = 0; i < N; i++) {
    if (table.only && !table.only.servers.has(i)) continue;
    if (status && S.status[i] !== status) continue;
    if (words.every((word) => haystack[i].includes(word))) found.push(i);
  }
  const column = table.columns.find((c) => c.key === table.sort.key);
  table.order = found.sort(compareBy(column, table.sort.down));
  table.active = -1;
  $("shown").textContent = found.length === N ? `${plural(N, "server")}.` : `${found.length} of ${plural(N, "server")} shown.`;
  $("unfilter").hidden = !table.only;
  if (table.only) $("unfilter").replaceChildren(visible(`Only: ${table.only.label} ✕`));
  $("table").setAttribute("aria-rowcount", found.length + 1);
  $("table-rows").style.height = `${found.length * ROW}px`;
  paint();
}

function showOnly(servers, label, sort) {
  table.only = servers && { servers: new Set(servers), label };
  $("filter").value = "";
  $("status").value = "";
  if (sort) table.sort = sort;
  makeHead();
  arrange();
  $("table").scrollTop = 0;
  if (servers) { $("servers").scrollIntoView({ block: "start" }); $("table").focus({ preventScroll: true }); }
}

/* ---- what is seen ---- */

function makeHead() {
  $("table-head").replaceChildren(...table.columns.map((c) => {
    const sorted = c.key === table.sort.key;
    const arrow = sorted ? (table.sort.down ? " ▼" : " ▲") : "";
    return el("div", { role: "columnheader", "aria-sort": sorted ? (table.sort.down ? "descending" : "ascending") : "none" },
      el("button", { type: "button", title: visible(c.head), onclick: () => {
        table.sort = { key: c.key, down: sorted ? !table.sort.down : false };
        makeHead();
        arrange();
        $("table-head").children[table.columns.indexOf(c)].firstChild.focus();
      } }, c.above ? el("span", { class: "quiet" }, c.above) : null, el("span", {}, (c.name || c.head) + arrow)));
  }));
  $("table").style.setProperty("--cells", table.columns.map((c) => (c.grows ? `minmax(${c.width}px, 1fr)` : `${c.width}px`)).join(" "));
  $("table").style.setProperty("--wide", `${table.columns.reduce((sum, c) => sum + c.width, 0)}px`);
}

function makePool(n) {
  const cells = table.columns.length;
  if (table.pool.length && table.pool[0].children.length !== cells) {
    $("table-rows").replaceChildren();
    table.pool = [];
  }
  while (table.pool.length < n) {
    const row = el("div", { role: "row", class: "row" });
    for (let c = 0; c < cells; c++) row.append(el("div", { role: c ? "gridcell" : "rowheader" }, document.createTextNode("")));
    row.addEventListener("click", () => { table.active = row.at; paint(); openServer(table.order[row.at]); });
    table.pool.push(row);
    $("table-rows").append(row);
  }
}

function paintRow(row, at) {
  const server = table.order[at];
  row.at = at;
  row.id = `row-${at}`;
  row.setAttribute("aria-rowindex", at + 2);
  row.style.transform = `translateY(${at * ROW}px)`;
  row.className = at === table.active ? "row active" : "row";
  table.columns.forEach((c, k) => {
    const cell = row.children[k];
    cell.firstChild.data = visible(c.text(server));
    cell.className = c.class ? c.class(server) : "";
  });
}

/* A row of the pool is used for every place that is the same modulo the pool's size, so that scrolling by one row writes one. */
function paint() {
  const box = $("table");
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
  const n = Math.min(table.order.length, Math.ceil(box.clientHeight / ROW) + 8);
  makePool(n);
  const size = table.pool.length;
  const end = Math.min(table.order.length, first + size);
  const stamp = table.stamp = (table.stamp || 0) + 1;
  for (let at = first; at < end; at++) {
    const row = table.pool[at % size];
    row.hidden = false;
    row.stamp = stamp;
    if (row.at !== at || row.server !== table.order[at] || row.wasActive !== (at === table.active)) paintRow(row, at);
    row.server = table.order[at];
    row.wasActive = at === table.active;
  }
  for (const row of table.pool) if (row.stamp !== stamp) { row.hidden = true; row.at = -1; row.removeAttribute("id"); }
  if (table.active >= 0) box.setAttribute("aria-activedescendant", `row-${table.active}`);
  else box.removeAttribute("aria-activedescendant");
}

function choose(at) {
  const box = $("table");
  if (!table.order.length) return;
  table.active = Math.max(0, Math.min(table.order.length - 1, at));
  const top = table.active * ROW, room = box.clientHeight - 46;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW > box.scrollTop + room) box.scrollTop = top + ROW - room;
  paint();
}

function onTableKey(event) {
  const page = Math.max(1, Math.floor($("table").clientHeight / ROW) - 2);
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
  if (event.target !== $("table") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in moves) choose(table.active < 0 ? 0 : table.active + moves[event.key]);
  else if (event.key === "Home") choose(0);
  else if (event.key === "End") choose(table.order.length - 1);
  else if ((event.key === "Enter" || event.key === " ") && table.active >= 0) openServer(table.order[table.active]);
  else return;
  event.preventDefault();
}

/* Columns are made anew: rows that are there are of the former ones. */
function remake() {
  for (const row of table.pool) row.at = -1;
  makeColumns();
  makeHead();
  arrange();
}

function startTable() {
  for (const [name, digit] of Object.entries(STATUS)) $("status").append(el("option", { value: digit }, name));
  $("filter").addEventListener("input", arrange);
  $("status").addEventListener("change", arrange);
  $("unfilter").addEventListener("click", () => showOnly(null));
  $("columns").hidden = metrics.length === 0;
  $("columns").querySelector(".menu").append(...metrics.map((m, k) => {
    const box = el("input", { type: "checkbox", checked: table.metrics.has(k), onchange: () => {
      if (box.checked) table.metrics.add(k); else table.metrics.delete(k);
      table.metrics = new Set([...table.metrics].sort((a, b) => a - b));
      remake();
    } });
    return el("label", {}, box, ` ${m.title}`);
  }));
  $("table").addEventListener("keydown", onTableKey);
  let waiting = false;
  $("table").addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; paint(); });
    waiting = true;
  }, { passive: true });
  addEventListener("resize", paint);
  remake();
}

/* ---- on paper ---- */

const PRINTED = 2000;
function fillPrint() {
  const rows = table.order.slice(0, PRINTED).map((i) =>
    el("tr", {}, table.columns.map((c) => el("td", { class: c.class ? c.class(i) : "" }, c.text(i)))));
  $("print-table").replaceChildren(
    el("table", {}, el("thead", {}, el("tr", {}, table.columns.map((c) => el("th", {}, c.head + (c.unit ? ` (${c.unit})` : ""))))),
      el("tbody", {}, rows)),
    table.order.length > PRINTED ? el("p", {}, `${table.order.length - PRINTED} more servers are not printed: filter the table.`) : "");
}
