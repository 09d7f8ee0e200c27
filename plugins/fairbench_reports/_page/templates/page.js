"use strict";
// Adds what needs a script: the theme, sorting, filters, what is said of a point, and copying. All else is there without.
(function () {
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const one = (selector) => document.querySelector(selector);
  all(".script").forEach((element) => { element.hidden = false; });

  // The theme: that of the system until one is chosen, which is remembered where the browser allows it.
  const root = document.documentElement, toggle = one("#theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const remembered = (theme) => {
    try {
      if (theme) localStorage.setItem("fairbench-theme", theme);
      return localStorage.getItem("fairbench-theme");
    } catch (error) { return null; }
  };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const named = () => { toggle.textContent = isDark() ? "Light" : "Dark"; toggle.setAttribute("aria-label", "Use the " + (isDark() ? "light" : "dark") + " theme"); };
  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();
  toggle.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; remembered(root.dataset.theme); named(); });
  dark.addEventListener("change", named);
  named();

  // Sorting: columns of numbers by the number that a cell begins with, what has none last; others by text.
  const keyOf = (row, column, number) => {
    const text = row.cells[column].textContent.trim();
    if (!number) return text.toLowerCase();
    const found = /^[-+]?[\d.]/.test(text) ? parseFloat(text) : NaN;
    return isNaN(found) ? null : found;
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  all("table.sortable").forEach((table) => {
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) button.append(head.firstChild);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const first = head.dataset.better === "higher" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const way = head.getAttribute("aria-sort") === first ? other : first;
        all("thead th", table).forEach((each) => each.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", way);
        const body = table.tBodies[0], sign = way === "ascending" ? 1 : -1;
        const rows = all("tr", body).map((row) => [keyOf(row, column, head.classList.contains("num")), row]);
        rows.sort((a, b) => (a[0] === null ? (b[0] === null ? 0 : 1) : b[0] === null ? -1 : sign * compare(a[0], b[0])));
        body.append(...rows.map((pair) => pair[1]));
      });
    });
  });

  // Filters: methods by words, verdicts, and the rule by which operating points were chosen.
  const filters = one("#filters");
  if (filters) {
    const count = one("#f-count"), rule = one("#f-rule");
    const apply = () => {
      const words = one("#f-method").value.toLowerCase().split(",").map((word) => word.trim()).filter(Boolean);
      const boxes = all("input[name=side]", filters);
      const sides = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
      let shown = 0, total = 0;
      all("[data-method]").forEach((element) => {
        const name = element.dataset.method.toLowerCase(), side = element.dataset.side;
        const matches = !words.length || words.some((word) => name.includes(word));
        const away = !matches || (side !== undefined && side !== "baseline" && !sides.has(side));
        if (element instanceof SVGElement) element.classList.toggle("away", away); else element.hidden = away;
        if (element.classList.contains("mark")) { total += 1; shown += away ? 0 : 1; }
      });
      all("[data-rule]").forEach((element) => { element.hidden = Boolean(rule && rule.value) && element.dataset.rule !== rule.value; });
      all("svg.plot[role=group]").forEach((plot) => {
        const marks = all(".mark:not(.away)", plot);
        all(".mark", plot).forEach((mark) => mark.setAttribute("tabindex", mark === marks[0] ? "0" : "-1"));
      });
      count.textContent = shown === total ? "" : shown + " of " + total + " points shown";
    };
    filters.addEventListener("input", apply);
    filters.addEventListener("change", apply);
    filters.addEventListener("submit", (event) => event.preventDefault());
    filters.addEventListener("reset", () => setTimeout(apply, 0));
  }

  // What is said of a point: under the pointer, and with the keyboard's focus, which the arrow keys move.
  const tip = one("#tip");
  let on = null;
  const leave = () => {
    if (on) { on.mark.classList.remove("on"); if (on.bars) on.bars.classList.remove("on"); }
    on = null;
    tip.hidden = true;
  };
  const saidOf = (mark) => {
    const title = mark.querySelector("title");  // which the browser would show beside the tip
    if (title) {
      mark.said = title.textContent;
      mark.setAttribute("aria-label", mark.said.split("\n").join("; "));
      title.remove();
    }
    return mark.said;
  };
  const show = (mark) => {
    leave();
    const plot = mark.closest("svg.plot");
    const bars = all(".bars", plot).find((each) => each.dataset.method === mark.dataset.method);
    on = { mark: mark, bars: bars };
    mark.classList.add("on");
    if (bars) bars.classList.add("on");
    tip.replaceChildren(...saidOf(mark).split("\n").map((line) => { const div = document.createElement("div"); div.textContent = line; return div; }));
    tip.hidden = false;
    const at = mark.querySelector(".reach").getBoundingClientRect(), wide = root.clientWidth;
    const right = at.right + 8, width = tip.offsetWidth;
    const left = right + width < wide - 8 ? right : Math.max(8, Math.min(at.left - width - 8, wide - width - 8));
    const covers = left < at.right && left + width > at.left;
    const top = covers ? at.bottom + 6 : Math.max(8, Math.min(at.top - 8, window.innerHeight - tip.offsetHeight - 8));
    tip.style.left = left + window.scrollX + "px";
    tip.style.top = top + window.scrollY + "px";
  };
  const markOf = (event) => (event.target instanceof Element ? event.target.closest(".mark") : null);
  const move = (mark, key) => {
    const marks = all(".mark:not(.away)", mark.closest("svg.plot")), place = marks.indexOf(mark), count = marks.length;
    const places = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: count - 1 };
    if (!(key in places)) return false;
    const next = marks[(places[key] + count) % count];
    marks.forEach((each) => each.setAttribute("tabindex", each === next ? "0" : "-1"));
    next.focus();
    return true;
  };
  document.addEventListener("pointerover", (event) => { const mark = markOf(event); if (mark) show(mark); });
  document.addEventListener("pointerout", (event) => { const mark = markOf(event); if (mark && document.activeElement !== mark) leave(); });
  document.addEventListener("focusin", (event) => { const mark = markOf(event); if (mark) show(mark); });
  document.addEventListener("focusout", (event) => { if (markOf(event)) leave(); });
  document.addEventListener("click", (event) => { const mark = markOf(event); if (mark) mark.focus(); });
  document.addEventListener("keydown", (event) => {
    const mark = markOf(event);
    if (event.key === "Escape") leave();
    else if (mark && move(mark, event.key)) event.preventDefault();
  });

  // Copying a command, also where the clipboard is out of reach.
  all(".copy").forEach((button) => button.addEventListener("click", () => {
    const source = document.getElementById(button.dataset.copies);
    const said = (text) => { button.textContent = text; setTimeout(() => { button.textContent = "Copy"; }, 2000); };
    const selected = () => {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      said(document.execCommand("copy") ? "Copied" : "Selected");
    };
    if (navigator.clipboard) navigator.clipboard.writeText(source.textContent).then(() => said("Copied"), selected); else selected();
  }));

  // On paper everything is open.
  let closed = [];
  window.addEventListener("beforeprint", () => { closed = all("details:not([open])"); closed.forEach((each) => { each.open = true; }); });
  window.addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
})();
