"use strict";
// The controls and sections of the explore page, and its start.

function select(id, label, options, value, change) {
  const box = element("select", { id, onchange: () => { change(box.value); remember(); } },
    ...options.map(([key, text]) => element("option", { value: key, textContent: text, selected: key === value })));
  return element("label", {}, label, box);
}

const section = (id, title, ...parts) => element("section", { id }, element("h2", { textContent: title }), ...parts);
const note = (id, text = "") => element("p", { className: "note", id, textContent: text });
const figure = (id, tall = "") => element("div", { className: "scroll" }, element("div", { className: "plot " + tall, id: id + "-plot" }));

function filters() {
  const parts = [];
  const tested = trials() ? Object.keys(trials().test).length : data.clients.groups.some((group) => group.split === "test");
  if (!tested) state.split = "validation";
  else parts.push(element("fieldset", {}, element("legend", { textContent: "split" }), ...["validation", "test"].map((split) => element("label", {},
    element("input", { type: "radio", name: "split", checked: state.split === split, onchange: () => { state.split = split; state.ranges = {}; state.picked = null; rebuild(); } }),
    split === "test" ? "test (confirmed configurations only)" : split))));
  if (trials()) FILTERS.filter((name) => unique(trials().columns[name] || []).length > 1).forEach((name) => {
    const values = trials().columns[name];
    parts.push(element("fieldset", {}, element("legend", { textContent: name }), ...unique(values).map((value) => element("label", {},
      element("input", { type: "checkbox", checked: !isOff(name, value), onchange: (event) => {
        const off = new Set(state.off[name] || []);
        event.target.checked ? off.delete(value) : off.add(value);
        state.off[name] = [...off];
        drawAll();
      } }), `${value || "none"} (${values.filter((v) => v === value).length})`))));
  });
  if (!parts.length) return [];
  const box = element("details", { id: "filters", open: state.filters ?? innerWidth > 640, ontoggle: () => { state.filters = box.open; remember(); } },
    element("summary", { textContent: "Split and filters" }), element("div", { className: "inside" }, ...parts));
  return [box];
}

function sectionsOfTrials() {
  if (!trials().count) return [section("trials", "Trials", note("", "No trial has ended. This page shows trials as soon as their rows are on disk."))];
  const key = element("p", { className: "key", textContent: "Marks: ● complete, ▽ pruned, ✕ diverged, ✚ failed. Trials without a number stand at “no number”; their lines are red. A parameter that a trial does not have stands at “not set”." });
  const axes = element("div", { className: "chips" }, ...trials().parameters.map((p) => {
    const chip = element("button", { type: "button", textContent: p.path, onclick: () => {
      state.axes[p.path] = !hasAxis(p.path);
      delete state.ranges[p.path];
      chip.setAttribute("aria-pressed", String(hasAxis(p.path)));
      drawAll();
    } });
    chip.setAttribute("aria-pressed", String(hasAxis(p.path)));
    return chip;
  }));
  const fixed = Object.entries(trials().fixed).map(([path, value]) => `${path} = ${value}`).join(", ");
  const clear = element("button", { type: "button", textContent: "Clear the selection", onclick: () => { state.ranges = {}; state.picked = null; drawAll(); } });
  const options = (names) => names.map((name) => [name, titleOf(name)]);
  const parameters = variables().map((p) => [p.path, p.path]);
  return [
    section("parallel", "Parameters and outcome of every trial", element("p", { textContent: "A line is a trial. Drag along an axis to select a range, click on it to remove the range, drag a name to move the axis." }),
      element("div", { className: "row" }, select("measure", "outcome", options(unique([...measures(), measure()])), measure(), (value) => { state.measure = value; drawAll(); }), clear),
      axes, figure("parallel", "tall"), note("parallel-note"), key, ...(fixed ? [note("", `The same in every trial, so without an axis: ${fixed}.`)] : [])),
    section("against", "One parameter against the outcome", ...(parameters.length ? [
      element("p", { textContent: "Drag a box around points: the same trials are marked above, and listed below." }),
      element("div", { className: "row" }, select("parameter", "parameter", parameters, state.parameter, (value) => { state.parameter = value; drawAgainst(); })),
      figure("against")] : [note("", "Nothing differs between the trials.")])),
    section("selected", "Selected trials", note("table-note"), element("div", { className: "listed", id: "table", tabIndex: 0 })),
  ];
}

function build() {
  byId("name").textContent = data.name;
  byId("notice").replaceChildren(...data.notice.map((text) => element("p", { className: "notice", textContent: text })));
  const some = trials() && trials().count, curves = Object.entries(data.curves.titles);
  const grouping = some ? [select("by", "a colour and a switch per", Object.entries(GROUPS), state.by, (value) => { state.by = value; drawCurves(); }),
    element("label", {}, element("input", { type: "checkbox", checked: state.onlySelected, onchange: (event) => { state.onlySelected = event.target.checked; remember(); drawCurves(); } }), "only selected trials")] : [];
  const chooser = (id, label) => element("label", {}, label, element("select", { id, onchange: (event) => { state[id] = event.target.value; remember(); id.startsWith("client") ? drawClients() : drawPareto(); } }));
  byId("content").replaceChildren(
    ...filters(), ...(trials() ? sectionsOfTrials() : []),
    section("curves", "Learning curves", ...(curves.length ? [
      element("div", { className: "row" }, select("curve", "curve of", curves, state.curve, (value) => { state.curve = value; drawCurves(); }), ...grouping),
      figure("curves"), element("div", { className: "chips", id: "curve-chips" }), note("curves-note")] : [note("", "No round is evaluated.")])),
    section("clients", "Clients", ...(data.clients.groups.length ? [
      element("p", { textContent: "A point is a client of one run, at its last evaluation." }),
      element("div", { className: "row" }, element("label", {}, "run", element("select", { id: "client-run", onchange: (event) => { state.clients = event.target.value; remember(); drawClients(); } })),
        chooser("clientX", "across"), chooser("clientY", "up"), chooser("clientColour", "colour")),
      figure("clients"), note("clients-note")] : [note("", ["No clients are measured.", ...data.clients.notes].join(" "))])),
    ...(some && measures().length && Object.keys(trials().costs).length ? [section("pareto", "What an outcome costs", element("div", { className: "row" }, chooser("paretoX", "across"), chooser("paretoY", "up")), figure("pareto"), note("pareto-note"))] : []),
  );
}

async function drawAll() {
  remember();
  if (trials() && trials().count) {
    await drawParallel();
    drawTable();
    await drawAgainst();
    await drawPareto();
  }
  if (Object.keys(data.curves.titles).length) await drawCurves();
  if (data.clients.groups.length) await drawClients();
}

function rebuild() { build(); return drawAll(); }

// A page that is served gives the new file here, so that nothing that the reader chose is lost.
window.raysimUpdate = (page) => {
  const top = scrollY;
  data = JSON.parse(page.getElementById("data").textContent);
  return rebuild().then(() => scrollTo(0, top));
};

// `explore.html#run=RUN` shows one run: its curve with those of its trial, and its clients.
function showRun() {
  const run = decodeURIComponent((location.hash.match(/^#run=(.+)$/) || [])[1] || "");
  const curve = data.curves.runs.find((one) => one.run === run), group = data.clients.groups.find((one) => one.run === run);
  if (!curve && !group) return;
  state = { ...state, off: {}, ranges: {}, picked: null, onlySelected: false, by: "trial", split: group ? group.split : "validation" };
  if (group) state.clients = `${run} ${group.split}`;
  const own = curve ? records(curve).map((record) => record.trial) : [];
  state.hidden.trial = unique(data.curves.runs.flatMap(records).map((record) => record.trial)).filter((name) => !own.includes(name));
  rebuild().then(() => byId("curves").scrollIntoView());
}

recall();
if (window.Plotly) {
  rebuild().then(showRun);
  addEventListener("hashchange", showRun);
  dark.addEventListener("change", drawAll);
} else {
  byId("content").append(element("p", { className: "notice", textContent: "plotly.min.js is not beside this page, so nothing can be drawn. Write the report again, or copy its whole folder." }));
}
