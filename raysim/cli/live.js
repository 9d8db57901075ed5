"use strict";
// Part of a page that `raysim report --serve` sends. It asks when the pages were written, and shows a newer one: the
// explore page takes its new data in place; any other page is loaded again where the reader was.
(() => {
  const key = "raysim-place:" + location.pathname;
  const note = Object.assign(document.createElement("p"), { hidden: true });
  note.style.cssText = "position:fixed;left:0;right:0;bottom:0;margin:0;padding:.5rem 1rem;font-size:14px;background:#fff6df;color:#222;max-width:none;z-index:9";
  note.setAttribute("role", "status");
  document.body.append(note);
  let seen = null;

  function say(text) {
    note.hidden = !text;
    note.textContent = text;
  }

  function leavePlace() {
    const open = [...document.querySelectorAll("details")].map((part) => part.open);
    try { sessionStorage.setItem(key, JSON.stringify({ open, top: scrollY })); } catch { /* storage may be forbidden */ }
  }

  function takePlace() {
    try {
      const { open, top } = JSON.parse(sessionStorage.getItem(key));
      sessionStorage.removeItem(key);
      const parts = [...document.querySelectorAll("details")];
      if (parts.length === open.length) parts.forEach((part, k) => { part.open = open[k]; });
      scrollTo(0, top);
    } catch { /* there was no place to keep */ }
  }

  async function show() {
    if (!window.raysimUpdate) {
      leavePlace();
      location.reload();
      return;
    }
    const page = await (await fetch(location.pathname, { cache: "no-cache" })).text();
    await window.raysimUpdate(new DOMParser().parseFromString(page, "text/html"));
  }

  async function look() {
    try {
      const { written, problem } = await (await fetch("/-/state?" + location.pathname, { cache: "no-store" })).json();
      say(problem);
      if (seen !== null && written !== seen) await show();
      seen = written;
    } catch {
      say("The server has ended. The page stays as it is.");
    }
    setTimeout(look, document.hidden ? 10000 : 2000);
  }

  takePlace();
  look();
})();
