"use strict";
// Everything here is a comfort: without it the page shows the same texts, tables and figures.
(() => {
const add = (parent, name, text, options) => parent.appendChild(Object.assign(document.createElement(name), { textContent: text }, options));
const value = (row, i) => (row.cells[i] ? row.cells[i].innerText.trim() : "");
const BYTES = { kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
const number = text => {
  const m = text.replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "").match(/([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?: ([kMGT]B)\b)?/);
  return m ? m[1] * (BYTES[m[2]] || 1) : NaN;
};

function sort(table, i, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies].flatMap(body => [...body.rows]);
  const numeric = rows.filter(row => !isNaN(number(value(row, i)))).length > rows.length / 2;
  const key = row => (numeric ? number(value(row, i)) : value(row, i).toLowerCase());
  rows.sort((a, b) => { const [x, y] = [key(a), key(b)]; return (x > y || Number.isNaN(x)) - (x < y || Number.isNaN(y)); });
  if (down) rows.reverse();
  rows.forEach(row => table.tBodies[0].append(row));
}

function csv(table) {
  const quoted = cell => { const text = cell.innerText.trim().replace(/\s*\n\s*/g, "; ").replace(/\u2212/g, "-"); return /[",;]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text; };
  return [...table.rows].map(row => [...row.cells].map(quoted).join(",")).join("\r\n");
}

for (const box of document.querySelectorAll(".scroll")) {
  const table = box.querySelector("table");
  if (!table.matches(".cards")) {
    const tools = document.createElement("p");
    tools.className = "tools";
    if (table.rows.length > 9 && !table.matches(".matrix")) {
      add(tools, "input", "", { type: "search", placeholder: "filter rows", ariaLabel: "filter rows" }).oninput = event => {
        const words = event.target.value.toLowerCase().split(/\s+/);
        for (const body of table.tBodies) for (const row of body.rows) row.hidden = !words.every(word => row.innerText.toLowerCase().includes(word) || row.textContent.toLowerCase().includes(word));
      };
    }
    const link = add(tools, "a", "CSV", { download: `${(box.closest("[id]") || table).id || "table"}.csv`, href: "#", title: "download these numbers" });
    link.onclick = () => { link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(csv(table)); };
    box.after(tools);
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      head.tabIndex = 0;
      head.title = "sort";
      head.onclick = () => sort(table, i, head);
      head.onkeydown = event => { if (event.key === "Enter") sort(table, i, head); };
    });
  }
}

for (const pre of document.querySelectorAll("pre")) {
  const button = document.createElement("button");
  button.textContent = "copy";
  button.onclick = async event => {
    event.preventDefault();
    try { await navigator.clipboard.writeText(pre.innerText); } catch { getSelection().selectAllChildren(pre); document.execCommand("copy"); }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  };
  const command = pre.closest(".command");
  if (command) command.querySelector("summary").append(" ", button); else pre.before(button);
}

const open = () => document.querySelectorAll("details").forEach(fold => { fold.open = true; });
addEventListener("beforeprint", open);
const show = () => { for (let fold = document.getElementById(location.hash.slice(1)); fold; fold = fold.parentElement) if (fold.matches("details")) fold.open = true; else if (fold.matches("section, div") && fold.id === location.hash.slice(1)) fold.querySelectorAll(":scope > details.section").forEach(inner => { inner.open = true; }); };
addEventListener("hashchange", show);
show();
})();
