"use strict";
// The figures and the table of the explore page. Each is drawn by one function, from `data` and `state`.

const font = () => ({ size: 13, color: colour("ink"), family: "system-ui, Liberation Sans, Helvetica, Arial, sans-serif" });
const wrapped = (text) => safe(text).replace(/^(.{18,38}?) (.{12,})$/, "$1<br>$2"); // a long title of an axis, on two lines
// The buttons are named one by one: Plotly's own set has one that sends the data to a server.
const config = {
  displaylogo: false, responsive: true, plotlyServerURL: "",
  modeBarButtons: [["zoom2d", "pan2d", "select2d", "lasso2d"], ["resetScale2d", "toImage"]],
};

function layout(x, y, more = {}) {
  const axis = ({ title, ...given }) => ({
    title: { text: wrapped(title), font: { size: 13 } }, gridcolor: colour("line"), zeroline: false, linecolor: colour("soft"),
    tickfont: { size: 12 }, automargin: true, ...given,
  });
  return {
    font: font(), paper_bgcolor: colour("paper"), plot_bgcolor: colour("paper"), hovermode: "closest", uirevision: "keep",
    margin: { l: 60, r: 16, t: 34, b: 50 }, xaxis: axis(x), yaxis: axis(y),
    legend: { orientation: "h", x: 0, y: -0.25, yanchor: "top", font: { size: 12 } }, hoverlabel: { font: { size: 12 }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("ink") }, ...more,
  };
}

async function plot(id, traces, figure) {
  const place = byId(id);
  drawing = true;
  try { await Plotly.react(place, traces, figure, { ...config, displayModeBar: id === "parallel-plot" ? false : "hover" }); } finally { drawing = false; }
  return place;
}

const ticksOf = (axis) => ({ tickvals: axis.ticks, ticktext: axis.texts.map(safe), range: padded(axis.range) });
const padded = ([low, high]) => [low - (high - low) * 0.05, high + (high - low) * 0.05];

async function drawParallel() {
  const rows = visible(), axes = dimensions(), numbers = rows.map((i) => column(measure())[i]);
  const finite = numbers.filter(isNumber), low = Math.min(...finite), high = Math.max(...finite);
  const out = state.picked ? new Set(state.picked) : null;
  const shade = rows.map((i, k) => {
    if (out && !out.has(trials().columns.trial[i])) return 0.1; // not selected in the other figure
    if (!isNumber(numbers[k])) return 0.3; // no number: its line is red
    return 0.4 + 0.6 * (high > low ? (numbers[k] - low) / (high - low) : 1);
  });
  const ramp = dark.matches ? ["#3d5a80", "#5fa8d3", "#f4d35e"] : ["#8fb8de", "#2a6fb0", "#08243f"];
  const scale = [[0, colour("pale")], [0.2, colour("pale")], [0.2, colour("bad")], [0.4, colour("bad")],
    [0.4, ramp[0]], [0.7, ramp[1]], [1, ramp[2]]];
  const place = byId("parallel-plot");
  place.style.width = Math.max(place.parentElement.clientWidth, 60 + ROOM * axes.length) + "px";
  const trace = {
    type: "parcoords", labelangle: -12, labelfont: { size: 13, color: colour("ink") }, tickfont: { size: 12, color: colour("ink") },
    rangefont: { size: 12, color: "rgba(0,0,0,0)" }, line: { color: shade, colorscale: scale, cmin: 0, cmax: 1 },
    unselected: { line: { color: colour("pale"), opacity: 0.5 } },
    dimensions: axes.map((axis) => ({
      name: axis.name, label: safe(short(axis.label, 18)), values: rows.map((i) => axis.at[i]), range: axis.range, ...brushTicks(axis),
      constraintrange: state.ranges[axis.name], multiselect: true,
    })),
  };
  await plot("parallel-plot", [trace], { font: font(), paper_bgcolor: colour("paper"), margin: { l: 110, r: 60, t: 80, b: 24 }, width: parseInt(place.style.width, 10) });
  byId("parallel-note").textContent = counts(rows);
  if (!place.listens) {
    place.listens = true;
    place.on("plotly_restyle", () => {
      if (drawing) return;
      const ranges = {}, drawn = place.data[0].dimensions || [];
      drawn.forEach(({ name, constraintrange: given }) => {
        if (given && given.length) ranges[name] = Array.isArray(given[0]) ? given : [given];
      });
      state.ranges = ranges;
      state.order = drawn.map((dimension) => dimension.name); // an axis may have been moved
      afterBrush();
    });
  }
}

// Plotly snaps a brush to the ticks where they are given. So a plain axis has Plotly's own, and any other one has a tick
// at each value, most of them without a text. It also knows a tick by its text, so each ends in letters without width.
const unseen = (k) => k.toString(2).replace(/0/g, "\u200b").replace(/1/g, "\u200c");

function brushTicks(axis) {
  if (axis.plain) return { tickformat: axis.format };
  const texts = new Map(axis.at.map((at) => [at, ""]));
  axis.ticks.forEach((at, k) => texts.set(at, safe(axis.texts[k])));
  const sorted = [...texts].sort((a, b) => a[0] - b[0]);
  return { tickvals: sorted.map((tick) => tick[0]), ticktext: sorted.map((tick, k) => tick[1] + unseen(k)) };
}

function counts(rows) { // how many trials a figure shows, in words
  const ended = {};
  rows.forEach((i) => { const how = trials().columns.state[i]; ended[how] = (ended[how] || 0) + 1; });
  const words = Object.entries(ended).map(([how, n]) => `${n} ${how}`).join(", ");
  const hidden = trials().count - rows.length;
  const why = state.split === "test" ? " (by a filter, or because only confirmed configurations have a test value)" : " (by a filter)";
  return `${rows.length} trials${words ? ": " + words : ""}.` + (hidden ? ` ${hidden} are not shown${why}.` : "");
}

// Points of trials: a colour per scenario, a mark per state; `pick` says which are selected.
function pointTraces(rows, x, y, names) {
  const marked = new Set(brushed() ? chosen() : rows), colours = palette(), scenarios = unique(trials().columns.scenario);
  return unique(rows.map((i) => trials().columns.scenario[i])).map((scenario) => {
    const own = rows.filter((i) => trials().columns.scenario[i] === scenario);
    return {
      type: "scatter", mode: "markers", name: safe(short(scenario, 40)), x: own.map(x), y: own.map(y), customdata: own.map((i) => trials().columns.trial[i]),
      text: own.map((i) => hover(i, ...names)), hoverinfo: "text",
      marker: { size: 9, color: colours[scenarios.indexOf(scenario) % colours.length], symbol: own.map((i) => SYMBOL[trials().columns.state[i]]), line: { width: 1 } },
      selectedpoints: own.flatMap((i, k) => (marked.has(i) ? [k] : [])),
      selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 0.15 } },
    };
  });
}

async function drawAgainst() {
  const rows = visible(), parameter = variables().find((p) => p.path === state.parameter) || variables()[0];
  if (!parameter) return;
  const name = measure(), x = axisOf(parameter.values, { log: parameter.log });
  const y = axisOf(column(name), outcome(name));
  const aside = (i) => (isNumber(parameter.values[i]) ? 0 : (((i * 0.618) % 1) - 0.5) * (x.mixed ? 0.36 : 0.02 * (x.range[1] - x.range[0])));
  const traces = pointTraces(rows, (i) => x.at[i] + aside(i), (i) => y.at[i], [name]);
  const figure = layout({ title: parameter.path, ...ticksOf(x) }, { title: titleOf(name), ...ticksOf(y) },
    { dragmode: "select", selections: state.picked ? undefined : [], uirevision: parameter.path + name + state.split });
  const place = await plot("against-plot", traces, figure);
  if (!place.listens) {
    place.listens = true;
    const take = (event) => {
      if (drawing) return;
      const points = event ? event.points : [];
      state.picked = points.length ? points.map((point) => point.customdata) : null;
      drawParallel().then(afterBrush);
    };
    place.on("plotly_selected", take);
    place.on("plotly_deselect", () => take(null));
  }
}

function afterBrush() {
  remember();
  return Promise.all([drawTable(), drawAgainst(), drawCurves(), drawPareto()]);
}

function drawTable() {
  const rows = chosen(), name = measure(), kept = trials().parameters.filter((p) => hasAxis(p.path) && p.path !== "method");
  const { trial, label, scenario, method, kind, state: ended, reason } = trials().columns;
  const columns = [
    ["trial", (i) => trial[i]], ["label", (i) => label[i]], ["scenario", (i) => scenario[i]], ["method", (i) => method[i]],
    ["kind", (i) => kind[i]], ["state", (i) => ended[i]],
    [titleOf(name), (i) => column(name)[i], (v) => shown(name, v)],
    ["seeds", (i) => trials().seeds[i], (v, i) => (trials().lost[i] ? `${v}, ${trials().lost[i]} lost` : String(v))],
    ...kept.map((p) => [p.path, (i) => p.values[i], (v) => (v === null ? "not set" : String(v))]),
    ["reason", (i) => reason[i]],
  ];
  const [by, sign] = state.sort, key = (columns.find((c) => c[0] === by) || columns[6])[1];
  const order = (a, b) => {
    const [v, w] = [key(a), key(b)];
    if (v === w) return a - b;
    if (v === null || w === null) return v === null ? 1 : -1; // what has no value comes last
    return (isNumber(v) && isNumber(w) ? v - w : String(v).localeCompare(String(w))) * sign;
  };
  const body = [...rows].sort(order).slice(0, MOST_ROWS).map((i) => element("tr", {}, ...columns.map(([title, value, text]) => {
    const v = value(i), lost = title === "state" && ended[i] !== "complete";
    return element("td", { className: lost ? "lost" : isNumber(v) ? "number" : "", textContent: text ? text(v, i) : v ?? "" });
  })));
  const head = columns.map(([title]) => {
    const press = () => { state.sort = [title, by === title ? -sign : 1]; remember(); drawTable(); };
    const arrow = by === title ? (sign > 0 ? " ▲" : " ▼") : "";
    return element("th", { scope: "col" }, element("button", { type: "button", textContent: title + arrow, onclick: press }));
  });
  byId("table").replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  const said = brushed() ? `${rows.length} trials are selected.` : `Nothing is brushed, so all ${rows.length} trials are listed.`;
  byId("table-note").textContent = said + (rows.length > MOST_ROWS ? ` The first ${MOST_ROWS} are listed.` : "");
}

const GROUPS = { method: "method", scenario: "scenario", kind: "kind of trial", trial: "trial" };

function records(run) { // names of a run: those of its trials, or its own where no trial of it has ended
  if (!run.trials.length) return [{ ...run, kind: "under way", trial: run.label }];
  const { scenario, method, kind } = trials().columns;
  return run.trials.map((i) => ({ scenario: scenario[i], method: method[i], kind: kind[i], trial: nameOf(i) }));
}

async function drawCurves() {
  const metrics = Object.keys(data.curves.titles), name = metrics.includes(state.curve) ? state.curve : metrics[0];
  if (!name) return;
  const kept = trials() ? new Set(state.onlySelected && brushed() ? chosen() : visible()) : null;
  const runs = data.curves.runs.filter((run) => (run.trials.length ? run.trials.some((i) => kept.has(i))
    : !isOff("scenario", run.scenario) && !isOff("method", run.method) && !(kept && state.onlySelected && brushed())));
  const by = trials() ? state.by : "trial", groups = new Map();
  runs.forEach((run) => {
    unique(records(run).map((record) => record[by] || "not named")).forEach((key) => groups.set(key, [...(groups.get(key) || []), run]));
  });
  const hidden = new Set(state.hidden[by] || []), colours = palette(), dashes = ["solid", "dash", "dot"], traces = [];
  const chips = [...groups].map(([key, own], k) => {
    const line = { color: colours[k % colours.length], dash: dashes[Math.floor(k / colours.length) % 3], width: 1.8 };
    const trace = { type: "scatter", mode: "lines+markers", marker: { size: 4 }, line, x: [], y: [], text: [], hoverinfo: "text", connectgaps: false, showlegend: false };
    own.forEach((run) => {
      const names = unique(records(run).map((record) => record.trial));
      run.round.forEach((round, r) => {
        const value = run.values[name][r];
        trace.x.push(round); trace.y.push(value);
        trace.text.push([...names, `seed ${run.seed ?? "?"}, round ${round}`, `${titles()[name]}: ${shown(name, value)}`].map(safe).join("<br>"));
      });
      trace.x.push(null); trace.y.push(null); trace.text.push("");
    });
    if (!hidden.has(key)) traces.push(trace);
    const press = () => { hidden.has(key) ? hidden.delete(key) : hidden.add(key); setHidden([...hidden]); };
    const chip = element("button", { type: "button", onclick: press }, element("span", { className: "swatch" }), `${short(key, 60)} (${own.length})`);
    chip.setAttribute("aria-pressed", String(!hidden.has(key)));
    chip.firstChild.style.borderColor = line.color;
    chip.firstChild.style.borderTopStyle = { solid: "solid", dash: "dashed", dot: "dotted" }[line.dash];
    return chip;
  });
  const setHidden = (keys) => { state.hidden[by] = keys; remember(); drawCurves(); };
  const all = element("button", { type: "button", textContent: "all", onclick: () => setHidden([]) });
  const none = element("button", { type: "button", textContent: "none", onclick: () => setHidden([...groups.keys()]) });
  byId("curve-chips").replaceChildren(all, none, ...chips);
  await plot("curves-plot", traces, layout({ title: "round" }, { title: name === "loss" ? titles()[name] : `validation ${titles()[name]}`, tickformat: isShare(name) ? ".0%" : "" }, { uirevision: name }));
  byId("curves-note").textContent = [`Number of runs: ${runs.length}, a curve each, on validation; the test split is opened once, after the last round.`, ...data.curves.notes].join(" ");
}

const groupName = (group) => {
  const words = group.trials.length ? group.trials.slice(0, 1).map(nameOf) : [trials() ? `run ${group.run}` : data.name];
  return [...words, ...(group.seed === null ? [] : [`seed ${group.seed}`]), `round ${group.round}`].join(" | ");
};

async function drawClients() {
  const there = data.clients.groups.filter((group) => group.split === state.split && (!group.trials.length || group.trials.some(passes)));
  const picker = byId("client-run"), key = (group) => `${group.run} ${group.split}`;
  picker.replaceChildren(...there.map((group) => element("option", { value: key(group), textContent: groupName(group) })));
  const group = there.find((one) => key(one) === state.clients) || there[0];
  byId("clients-plot").hidden = picker.closest(".row").hidden = !group;
  if (!group) {
    byId("clients-note").textContent = `No clients on the ${state.split} split pass the filters, or none are measured there.`;
    return;
  }
  picker.value = key(group);
  const names = Object.keys(group.columns).filter((name) => name !== "client");
  const choose = (id, wanted) => {
    const value = names.includes(state[id]) ? state[id] : wanted.find((name) => names.includes(name)) || names[0];
    byId(id).replaceChildren(...names.map((name) => element("option", { value: name, textContent: titleOf(name), selected: name === value })));
    return value;
  };
  const x = choose("clientX", ["images"]), y = choose("clientY", ["acc_personal_own"]), c = choose("clientColour", ["js", "classes"]);
  const text = group.columns.client.map((client, k) => [`client ${group.names ? group.names[k] : client}`, ...names.map((name) => `${titleOf(name)}: ${shown(name, group.columns[name][k])}`)].map(safe).join("<br>"));
  const bar = { title: { text: safe(titleOf(c)), side: "right", font: { size: 12 } }, thickness: 12, tickfont: { size: 12 }, tickformat: isShare(c) ? ".0%" : "" };
  const trace = { type: "scatter", mode: "markers", x: group.columns[x], y: group.columns[y], text, hoverinfo: "text",
    marker: { size: 10, color: group.columns[c], colorscale: "Cividis", colorbar: bar, line: { width: 1, color: colour("soft") } } };
  const axis = (name) => ({ title: titleOf(name), tickformat: isShare(name) ? ".0%" : "" });
  await plot("clients-plot", [trace], layout(axis(x), axis(y), { uirevision: x + y + key(group), margin: { l: 60, r: 10, t: 34, b: 50 } }));
  byId("clients-note").textContent = [`${group.columns.client.length} clients on the ${state.split} split.`, ...group.notes, ...data.clients.notes].join(" ");
}

async function drawPareto() {
  const names = [...measures(), ...Object.keys(trials().costs)];
  if (!byId("pareto")) return;
  const choose = (id, wanted) => {
    const value = names.includes(state[id]) ? state[id] : wanted.find((name) => names.includes(name)) || names[0];
    byId(id).replaceChildren(...names.map((name) => element("option", { value: name, textContent: titleOf(name), selected: name === value })));
    return value;
  };
  const x = choose("paretoX", ["bytes_up", "seconds"]), y = choose("paretoY", ["acc_personal_own", "objective"]);
  const all = visible(), rows = all.filter((i) => column(x)[i] !== null && column(y)[i] !== null);
  const traces = pointTraces(rows, (i) => column(x)[i], (i) => column(y)[i], [x, y]), colours = palette(), scenarios = unique(trials().columns.scenario);
  unique(rows.map((i) => trials().columns.scenario[i])).forEach((scenario) => {
    const own = rows.filter((i) => trials().columns.scenario[i] === scenario && trials().columns.state[i] === "complete");
    const front = frontOf(own, column(x), column(y), lowerIsBetter(x) ? 1 : -1, lowerIsBetter(y) ? 1 : -1);
    traces.push({ type: "scatter", mode: "lines", showlegend: false, hoverinfo: "skip", x: front.map((i) => column(x)[i]), y: front.map((i) => column(y)[i]),
      line: { shape: "hv", width: 1.6, color: colours[scenarios.indexOf(scenario) % colours.length] } });
  });
  const axis = (name) => {
    const values = rows.map((i) => column(name)[i]), wide = COSTS.includes(name) && Math.min(...values) > 0 && Math.max(...values) > 50 * Math.min(...values);
    return { title: `${titleOf(name)} (${lowerIsBetter(name) ? "lower" : "higher"} is better)`, tickformat: isShare(name) ? ".0%" : "~s", type: wide ? "log" : "linear" };
  };
  await plot("pareto-plot", traces, layout(axis(x), axis(y), { uirevision: x + y + state.split }));
  const without = all.filter((i) => !rows.includes(i));
  byId("pareto-note").textContent = "A line is the front of a scenario: the complete trials that no other one of this scenario beats on both axes. "
    + counts(all) + (without.length ? ` Not drawn, because they have no number on an axis: ${without.map((i) => `trial ${trials().columns.trial[i]} (${trials().columns.state[i]})`).slice(0, 12).join(", ")}${without.length > 12 ? ` and ${without.length - 12} others` : ""}.` : "");
}

// The trials that no other beats: better or equal on both axes and better on one. A sign is 1 where lower is better.
function frontOf(rows, x, y, signX, signY) {
  const order = [...rows].sort((a, b) => signX * (x[a] - x[b]) || signY * (y[a] - y[b]));
  let best = Infinity;
  return order.filter((i) => signY * y[i] < best && ((best = signY * y[i]), true));
}
