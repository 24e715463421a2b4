"use strict";
/* data.js: the run's data, and the ways to show a piece of it. What comes from servers is shown as text, by el() alone. */
performance.mark("muster-begin");

const $ = (id) => document.getElementById(id);
const readData = (id) => JSON.parse($(id).textContent);

/* What would not be seen, or would turn the text around it, is shown as its number. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const visible = (text) => String(text).replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16).toUpperCase()}}`);

/* An element with attributes, listeners (onclick) and children, of which strings become text. */
function el(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) e.append(child instanceof Node ? child : visible(child));
  }
  return e;
}

/* ---- the data ---- */

const D = readData("run-data");
const S = D.servers;
const N = S.id.length;
const STATUS = { failed: 0, error: 1, timeout: 2, unreachable: 3, cancelled: 4, passed: 5, skipped: 6 };

/* Values of a step or metric, of all servers or of some. */
class Column {
  constructor(c) {
    Object.assign(this, c);
    this.place = c.i ? new Map(c.i.map((server, k) => [server, k])) : null;
  }
  at(server) { return this.place ? this.place.get(server) ?? -1 : server; }
  server(k) { return this.i ? this.i[k] : k; }
  has(server) {
    const k = this.at(server);
    return k >= 0 && (this.v ? this.v[k] !== null : this.status[k] !== "-");
  }
  value(server) { const k = this.at(server); return k < 0 ? null : this.v[k]; }
  number(server) { const v = this.value(server); return typeof v === "number" ? v : NaN; }
  isMissed(server) { const k = this.at(server); return k >= 0 && this.judged[k] === "2"; }
  ruleOf(server) { const k = this.at(server); return k < 0 ? null : this.rules[this.rule ? this.rule[k] : 0] || null; }
}
const steps = D.steps.map((c) => new Column(c));
const metrics = D.metrics.map((c) => new Column(c));
for (const m of metrics) m.title = `${m.step}.${m.name}`;
const notes = new Map(D.notes);

let logs = null;
function logsOf(server) {
  logs = logs || new Map(readData("log-data"));
  return logs.get(server) || [];
}

let past = null;
function pastOf(metric, server) {
  if (!past) {
    past = readData("past-data");
    past.of = metrics.map(() => new Map());
    for (const [m, run, servers, values] of past.values) past.of[m].set(run, { servers, values });
  }
  const found = past.runs.map(() => null);
  for (const [run, { servers, values }] of past.of[metric]) {
    if (!servers) { found[run] = values[server]; continue; }
    let low = 0, high = servers.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (servers[middle] < server) low = middle + 1; else high = middle;
    }
    if (servers[low] === server) found[run] = values[low];
  }
  return found;
}

/* ---- in words ---- */

const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
const statusName = (digit) => D.statuses[digit] || "";

function formatNumber(v) {
  if (v === null || v === undefined) return "–";
  return typeof v === "number" ? String(Number(v.toPrecision(6))) : String(v);
}
const formatWith = (v, unit) => formatNumber(v) + (unit && v !== null ? ` ${unit}` : "");

function formatMs(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${ms} ms`;
  const s = Math.round(ms / 1000);
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
}

const formatTime = (ms) => (ms ? `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC` : "–");

/* The bounds of a rule, as they are written in a script: ">= 500". */
function boundsOf(rule) {
  const out = [];
  if (!rule) return out;
  if (rule.min !== undefined) out.push({ at: rule.min, text: `${rule.min_open ? ">" : "≥"} ${formatNumber(rule.min)}` });
  if (rule.max !== undefined) out.push({ at: rule.max, text: `${rule.max_open ? "<" : "≤"} ${formatNumber(rule.max)}` });
  return out;
}

function ruleInWords(rule, unit) {
  if (!rule) return "";
  const words = boundsOf(rule).map((b) => b.text + (unit ? ` ${unit}` : ""));
  if (rule.reference !== undefined) {
    const tolerance = rule.lower && rule.lower === rule.upper ? `± ${rule.lower}`
      : [rule.lower && `- ${rule.lower}`, rule.upper && `+ ${rule.upper}`].filter(Boolean).join(", ");
    words.push(`reference ${formatNumber(rule.reference)} ${tolerance}`);
  }
  if (rule.peers) {
    const p = rule.peers;
    const how = [p.drop && `not ${p.drop} below`, p.rise && `not ${p.rise} above`].filter(Boolean).join(", ");
    const median = typeof p.median === "number" ? ` (median ${formatNumber(p.median)} of ${plural(p.n, "server")})` : "";
    words.push(`peers${p.group ? ` ${p.group_by} ${p.group}` : ""}: ${how}${median}${p.note ? `; not judged: ${p.note}` : ""}`);
  }
  return words.join(", ");
}
