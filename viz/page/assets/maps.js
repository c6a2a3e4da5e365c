// Layers and attention on canvases, from numbers that come deflated with the page and are unpacked when first shown.

export function maps(root) {
  if (typeof DecompressionStream === "undefined") return;  // the tables say the most important
  for (const group of root.querySelectorAll(".group")) {
    const data = lazily((map) => numbersOf(JSON.parse(group.querySelector(`script.numbers[data-map="${map}"]`).textContent)));
    const paints = [];
    for (const box of group.querySelectorAll(".flow")) paints.push(flow(root, box, () => data(box.dataset.map)));
    const stacks = [...group.querySelectorAll(".stack")];
    for (const box of stacks) {
      const strips = group.querySelectorAll(".row")[box.dataset.map].querySelectorAll(".strip");
      paints.push(through(root, box, strips, () => data(box.dataset.map)));
    }
    if (stacks.length > 1) tabs(stackBar(stacks), stacks, stacks.map((stack) => stack.dataset.title), 0);
    repainted(root, paints);
  }
}

function stackBar(stacks) {
  const bar = stacks[0].closest(".card").querySelector(".choice.live");
  bar.hidden = false;
  return bar;
}

function lazily(make) {
  const made = new Map();
  return (key) => made.get(key) ?? made.set(key, make(key)).get(key);
}

// What is painted depends on the width, the theme, and whether words or tokens are shown.
function repainted(root, paints) {
  const again = () => { forgetColours(root); for (const paint of paints) paint(); };
  new MutationObserver(again).observe(root, { attributes: true, attributeFilter: ["data-view"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let width = root.clientWidth;
  new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; again(); } }).observe(root);
}

// Paints when the box first comes into view, then after each change; a hidden box is painted when it is shown.
function whenVisible(box, paint) {
  let due = true;
  let inside = false;
  const act = () => { if (due && inside) { due = false; paint(); } };
  new IntersectionObserver((entries) => { inside = entries.at(-1).isIntersecting; act(); }).observe(box);
  for (const part of box.closest(".card").querySelectorAll(".live")) part.hidden = part.matches(".choice:empty");
  return () => { due = true; act(); };
}

// Layers -------------------------------------------------------------------------------------------------------------

function flow(root, box, data) {
  const canvas = box.querySelector("canvas");
  const readout = box.querySelector(".readout");
  let shown = null;
  const map = grid(root, canvas, (row, column, keyed) => {
    const layer = shown.layers.length - 1 - row;
    say(readout, keyed, `layer ${layer} · ${quote(shown.cut.names[column])} ${signed(shown.layers[layer][column], shown.unit, 3)}`);
  });
  return whenVisible(box, () => {
    const { layers, unit, cuts } = data();
    const cut = cuts[root.dataset.view];
    shown = { layers: layers.map((layer) => merged(layer, 1, layer.length, null, cut.groups)), unit, cut };
    const columns = cut.names.length;
    map.show({
      rows: layers.length, columns, numbers: Float32Array.from(shown.layers.map((layer) => [...layer]).reverse().flat()),
      rowNames: layers.map((_, n) => `layer ${layers.length - 1 - n}`), columnNames: cut.names,
      columnRuns: cut.runs, answer: cut.answer,
      fit: (room) => [Math.max(Math.min(room, columns * 30), Math.min(columns * 12, 1400)), layers.length * 22],
    });
    readout.textContent = "Point at the map, or focus it and use the arrow keys, to read its numbers.";
  });
}

// Attention ----------------------------------------------------------------------------------------------------------

function through(root, box, strips, data) {
  const stack = () => data().stacks[box.dataset.stack];
  const readout = box.querySelector(".readout");
  const state = { chosen: null, view: null, cut: "", by: false, at: null, mark: null };
  const map = grid(root, box.querySelector("canvas"), (row, column, keyed) => {
    tell(keyed, row, column);
    state.mark = null;
    read.tint(state.view, row, -1, column);
  });
  const tell = (keyed, row, column) => {
    const { view } = state;
    const cell = row >= 0 && column >= 0 ? `${quote(view.rows.names[row])} ← ${quote(view.columns.names[column])} ${signed(view.at(row, column), view.unit)}` : "";
    const line = column < 0 || row >= 0 ? view.row(row) : view.column(column);
    const names = column < 0 || row >= 0 ? view.columns.names : view.rows.names;
    const most = strongestOf(line, 4).map((i) => `${quote(names[i])} ${signed(line[i], "")}`).join(", ");
    const who = row >= 0 ? `${quote(view.rows.names[row])} draws most on ` : `${quote(view.columns.names[column])} gives most to `;
    say(readout, keyed, cell, `${who}${most || "nobody"}`, view.name);
  };
  const read = reader(box, strips, state, (row, column, keyed) => {
    map.point(row, column);
    tell(keyed, row, column);
  });
  const paint = whenVisible(box, async () => {
    state.chosen ??= heads.first();
    const request = state.chosen;
    const view = await viewOf(data(), stack(), request, root.dataset.view);
    if (request !== state.chosen) return;                   // another one was chosen meanwhile
    state.view = view;
    const [rows, columns] = [view.rows.names.length, view.columns.names.length];
    map.show({
      rows, columns, numbers: view.numbers, rowNames: view.rows.names, columnNames: view.columns.names,
      rowRuns: view.rows.runs, columnRuns: view.columns.runs, answer: view.rows === view.columns ? view.rows.answer : null,
      fit: (room) => {
        const cell = Math.min((room - 1) / columns, 560 / Math.max(rows, columns) + 8, 34);
        return [cell * columns, cell * rows];
      },
    });
    if (state.cut !== root.dataset.view) [state.cut, state.at] = [root.dataset.view, rows && (view.rows.answer?.[0] ?? null)];
    say(readout, false, `${view.name}: largest ${signed(view.largest, view.unit)}`);
    read.show(view);
    box.dataset.shown = view.name;
  });
  const heads = headGrid(box, (chosen) => { state.chosen = chosen; paint(); });
  return paint;
}

// Each head of the table becomes a button; the table is one stop for the tab key, arrow keys go from head to head.
function headGrid(box, choose) {
  const rows = [...box.querySelectorAll("table.heads tr")].map((row) => [...row.querySelectorAll("[data-layer]")]);
  const cells = rows.flat();
  let current = null;
  const buttons = new Map(cells.map((cell) => {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    const number = cell.textContent;
    button.textContent = number;
    button.setAttribute("aria-label", `${cell.dataset.name}${/\d/.test(number) ? `: ${number}` : ""}`);
    button.setAttribute("aria-pressed", "false");
    cell.replaceChildren(button);
    button.addEventListener("click", () => { press(cell); choose(chosen(cell)); });
    return [cell, button];
  }));
  const chosen = ({ dataset }) => ({ layer: dataset.layer, head: dataset.head, name: dataset.name });
  const press = (cell) => {
    if (current) { buttons.get(current).setAttribute("aria-pressed", "false"); buttons.get(current).tabIndex = -1; }
    current = cell;
    buttons.get(cell).setAttribute("aria-pressed", "true");
    buttons.get(cell).tabIndex = 0;
  };
  box.querySelector("table.heads").addEventListener("keydown", (event) => {
    const cell = event.target.closest("[data-layer]");
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!cell || !step) return;
    event.preventDefault();
    const row = rows.findIndex((one) => one.includes(cell));
    const next = rows[row + step[0]] ?? [];
    const to = step[0] ? next[Math.min(next.length - 1, rows[row].indexOf(cell))] : rows[row][rows[row].indexOf(cell) + step[1]];
    if (!to) return;
    buttons.get(cell).tabIndex = -1;
    buttons.get(to).tabIndex = 0;
    buttons.get(to).focus();
  });
  return {
    // What is shown first: the head that carries most.
    first: () => {
      const strength = (cell) => (cell.dataset.head === "all" ? -1 : Number(cell.dataset.own));
      const cell = cells.reduce((best, one) => (strength(one) > strength(best) ? one : best));
      press(cell);
      return chosen(cell);
    },
  };
}

// Read out when a key moved the cursor; a pointer would make a screen reader talk without end.
function say(place, keyed, ...lines) {
  place.setAttribute("aria-live", keyed ? "polite" : "off");
  place.replaceChildren(...lines.filter(Boolean).map((line) => Object.assign(document.createElement("span"), { textContent: line })));
}

function quote(name) { return `“${name.replace(/\s+/g, " ").trim()}”`; }

function signed(n, unit, digits = 2) {                     // two are what rounding leaves of a matrix
  const size = Math.abs(n) >= 1e-4 || !n ? Math.abs(n).toPrecision(digits) : Math.abs(n).toExponential(1).replace("-", "−");
  return `${n < 0 ? "−" : "+"}${size}${unit ? `\u00a0${unit}` : ""}`;
}
