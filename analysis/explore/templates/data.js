"use strict";
// What the explore page knows: `data`, which Python wrote, and `state`, which the reader chose. Texts of the data reach
// the page as text only: textContent in HTML, safe() in Plotly's figures.

const KEY = "raysim-explore:" + location.pathname;
const SYMBOL = { complete: "circle", pruned: "triangle-down-open", diverged: "x", failed: "cross" };
const COSTS = ["bytes_up", "bytes_down", "flops", "seconds"];
const MOST_ROWS = 300, MOST_AXES = 8, ROOM = 112; // rows of the table; axes at first; least pixels between two axes
let data = JSON.parse(document.getElementById("data").textContent);
let state = {
  split: "validation", off: {}, axes: {}, ranges: {}, picked: null, hidden: {}, by: "method", sort: [null, -1],
};
let drawing = false; // while Plotly draws, its events are not the reader's

// ---------------------------------------------------------------------------------------------- small helpers
const byId = (id) => document.getElementById(id);
const isNumber = (value) => typeof value === "number";
const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, most = 20) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");
const palette = () =>
  dark.matches ? ["#6cb8ee", "#e69f00", "#3fc79a", "#e391c0", "#b9a8ec", "#d8c74a", "#e0e0da"]
    : ["#0072b2", "#b34700", "#007a5a", "#a3457d", "#5f4b8b", "#736200", "#333333"];
const unique = (values) => [...new Set(values)];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function remember() {
  try { sessionStorage.setItem(KEY, JSON.stringify(state)); } catch { /* storage may be forbidden */ }
}

function recall() {
  try { Object.assign(state, JSON.parse(sessionStorage.getItem(KEY)) || {}); } catch { /* start afresh */ }
}

// ---------------------------------------------------------------------------------------------- columns
const trials = () => data.trials;
const column = (name) => trials()[state.split][name] || trials().costs[name] || Array(trials().count).fill(null);
const measures = () => Object.keys(trials()[state.split]);
const measure = () => (measures().includes(state.measure) ? state.measure : measures()[0] || "objective");
const titles = () => ({ ...(trials() || {}).titles, ...data.curves.titles, ...data.clients.titles });
const isCount = (name) => COSTS.includes(name) || ["images", "classes", "client"].includes(name);
const isShare = (name) => !isCount(name) && !["loss", "js"].includes(name);
const lowerIsBetter = (name) => isCount(name) || name === "loss" || name === "js";

function titleOf(name) {
  const words = titles()[name] || name;
  return name.startsWith("acc_") || name.startsWith("worst_") || name.startsWith("p10_") ? `${state.split} ${words}` : words;
}

function shown(name, value) { // a value as text
  if (!isNumber(value)) return "no number";
  if (isShare(name)) return (100 * value).toFixed(1) + " %";
  return Math.abs(value) >= 1e5 ? value.toExponential(2) : String(+value.toPrecision(4));
}

function nameOf(i) {
  const { trial, label, scenario } = trials().columns;
  return `trial ${trial[i]}: ${label[i]} | ${scenario[i]}`;
}

function hover(i, ...names) {
  const { kind, state: ended, method } = trials().columns, lost = trials().lost[i];
  const seeds = trials().seeds[i] + " seeds" + (lost ? `, ${lost} of them lost` : "");
  const lines = [nameOf(i), `${method[i]}, ${kind[i]}, ${ended[i]}, ${seeds}`];
  if (trials().columns.reason[i]) lines.push(short(trials().columns.reason[i], 90));
  names.forEach((name) => lines.push(`${titleOf(name)}: ${shown(name, column(name)[i])}`));
  trials().parameters.forEach((p) => { if (p.values[i] !== null) lines.push(`${p.path} = ${p.values[i]}`); });
  return lines.slice(0, 14).map(safe).join("<br>");
}

// Places of values on an axis. Numbers keep their order; words, and what is missing, get places below the numbers.
function axisOf(values, { log = false, missing = "not set", show = (v) => String(+v.toPrecision(4)), format = "" } = {}) {
  const scale = log ? Math.log10 : (v) => v;
  const numbers = values.filter(isNumber), words = unique(values.filter((v) => !isNumber(v)));
  const places = new Map(), ticks = [];
  let low = 0, high = Math.max(1, words.length - 1);
  if (numbers.length) {
    low = scale(Math.min(...numbers)); high = scale(Math.max(...numbers));
    if (low === high) { low -= 0.5; high += 0.5; }
    tickNumbers(low, high, log).forEach((v) => ticks.push([scale(v), show(v)]));
  }
  const step = (high - low) * 0.1, bottom = low;
  words.forEach((word, k) => {
    const at = numbers.length ? bottom - step * (k + 1.2) : k;
    places.set(word, at);
    ticks.push([at, short(word === null ? missing : word, 16)]);
    low = Math.min(low, at);
  });
  const pad = numbers.length ? 0 : 0.25;
  return {
    at: values.map((v) => (isNumber(v) ? scale(v) : places.get(v))), range: [low - pad, high + pad],
    ticks: ticks.map((t) => t[0]), texts: ticks.map((t) => t[1]), mixed: !numbers.length, plain: !words.length && !log, format,
  };
}

const outcome = (name) => (isShare(name) ? { missing: "no number", show: (v) => +(100 * v).toFixed(2) + "%", format: ".0%" } : { missing: "no number" });

function tickNumbers(low, high, log) {
  if (log) {
    const powers = [];
    for (let p = Math.floor(low); p <= Math.ceil(high); p++) powers.push(...[1, 2, 5].map((m) => m * 10 ** p));
    const inside = powers.filter((v) => Math.log10(v) >= low - 1e-9 && Math.log10(v) <= high + 1e-9);
    return inside.length > 6 ? inside.filter((v) => Math.log10(v) % 1 === 0) : inside;
  }
  const raw = (high - low) / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const ticks = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) ticks.push(+v.toPrecision(12));
  return ticks;
}

// ---------------------------------------------------------------------------------------------- what is shown and selected
const FILTERS = ["space", "case", "level", "scenario", "method", "kind", "state"];
const isOff = (name, value) => (state.off[name] || []).includes(value);

function passes(i) {
  const kept = FILTERS.every((name) => !trials().columns[name] || !isOff(name, trials().columns[name][i]));
  return kept && (state.split === "validation" || measures().some((name) => column(name)[i] !== null));
}

const visible = () => [...Array(trials().count).keys()].filter(passes);

function chosen() { // positions of the trials that no brush leaves out
  const axes = dimensions();
  return visible().filter((i) => {
    if (state.picked && !state.picked.includes(trials().columns.trial[i])) return false;
    return axes.every((axis) => {
      const ranges = state.ranges[axis.name];
      return !ranges || ranges.some(([low, high]) => axis.at[i] >= low && axis.at[i] <= high);
    });
  });
}

const brushed = () => Boolean(state.picked) || Object.keys(state.ranges).length > 0;

function dimensions() { // axes of the parallel coordinates, over all trials, so that places do not move with a filter
  const made = [];
  const add = (name, label, values, options) => made.push({ name, label, ...axisOf(values, options) });
  const name = measure();
  add(`${state.split} ${name}`, name.replace(/^acc_/, "").replace(/_/g, " "), column(name), outcome(name));
  ["case", "level", "scenario"].forEach((name) => {
    const values = trials().columns[name];
    if (values && unique(values).length > 1) add(name, name, values);
  });
  trials().parameters.forEach((p) => { if (hasAxis(p.path)) add(p.path, p.path.replace(/^method\./, ""), p.values, { log: p.log }); });
  if (unique(trials().columns.state).length > 1) add("state", "state", trials().columns.state);
  const order = made.map((axis) => axis.name), moved = state.order || [];
  const rank = (axis) => (moved.includes(axis.name) ? moved.indexOf(axis.name) : order.indexOf(axis.name) + 0.5);
  return made.sort((a, b) => rank(a) - rank(b));
}

function variables() { // what an outcome can be drawn against: the parameters, and what else differs between trials
  const differing = (names) => names.filter((name) => unique(trials().columns[name] || []).length > 1)
    .filter((name) => !trials().parameters.some((p) => p.path === name)).map((name) => ({ path: name, values: trials().columns[name] }));
  return [...differing(["level", "case"]), ...trials().parameters, ...differing(["scenario", "method"])];
}

function hasAxis(path) {
  if (path in state.axes) return state.axes[path];
  return trials().parameters.findIndex((p) => p.path === path) < MOST_AXES;
}
