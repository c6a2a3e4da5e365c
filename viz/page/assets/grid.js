// A grid of numbers on a canvas: painted once, then only the cursor moves. Pointer and arrow keys do the same.

const TEXT = 11;                                           // smallest pitch, in CSS pixels, at which names are written

// plan: rows, columns; numbers, row by row; names of both; runs of both, [{ at, name }], where texts begin; answer, its
// first and last place in both; fit(room) the size of the cells together; moved(row, column, keyed), row −1 outside.
export function grid(root, canvas, moved) {
  const context = canvas.getContext("2d");
  const cursor = { row: -1, column: -1 };
  const base = document.createElement("canvas");
  let plan = null;
  let area = null;                                         // of the cells, in CSS pixels

  const draw = () => {
    const { width, height } = canvas;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.drawImage(base, 0, 0);
    if (cursor.row < 0 && cursor.column < 0) return;
    const ratio = width / area.all[0];
    const [w, h] = [area.width / plan.columns, area.height / plan.rows];
    const [x, y] = [area.left + cursor.column * w, area.top + cursor.row * h];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = `rgb(${colours(root).ink.join(" ")})`;
    context.lineWidth = 1;
    context.globalAlpha = .4;
    if (cursor.row >= 0) context.strokeRect(area.left - .5, y - .5, area.width + 1, h + 1);
    if (cursor.column >= 0) context.strokeRect(x - .5, area.top - .5, w + 1, area.height + 1);
    context.globalAlpha = 1;
    context.lineWidth = 2;
    if (cursor.row >= 0 && cursor.column >= 0) context.strokeRect(x - 1, y - 1, w + 2, h + 2);
  };

  const point = (row, column) => {
    if (!plan || (row === cursor.row && column === cursor.column)) return;
    [cursor.row, cursor.column] = [row, column];
    draw();
  };

  const show = (next) => {
    if (!canvas.parentElement.clientWidth) return;         // on paper, or behind another tab
    if (!plan || next.rows !== plan.rows || next.columns !== plan.columns) [cursor.row, cursor.column] = [-1, -1];
    plan = next;
    area = laidOut(context, plan, canvas.parentElement.clientWidth);
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const one of [canvas, base]) [one.width, one.height] = area.all.map((side) => Math.round(side * ratio));
    canvas.style.width = `${area.all[0]}px`;
    canvas.style.height = `${area.all[1]}px`;
    [canvas.dataset.width, canvas.dataset.height] = [area.width, area.height];
    painted(base.getContext("2d"), plan, area, ratio, colours(root));
    draw();
  };

  canvas.addEventListener("pointermove", (event) => {
    if (!plan) return;
    const frame = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - frame.left - area.left) / area.width * plan.columns);
    const row = Math.floor((event.clientY - frame.top - area.top) / area.height * plan.rows);
    if (row < 0 || column < 0 || row >= plan.rows || column >= plan.columns) return;
    if (row === cursor.row && column === cursor.column) return;
    point(row, column);
    moved(row, column, false);
  });
  canvas.addEventListener("keydown", (event) => {
    if (!plan || event.altKey || event.ctrlKey || event.metaKey) return;
    const far = event.shiftKey ? 10 : 1;
    const steps = { ArrowUp: [-far, 0], ArrowDown: [far, 0], ArrowLeft: [0, -far], ArrowRight: [0, far],
      PageUp: [-10, 0], PageDown: [10, 0], Home: [0, -plan.columns], End: [0, plan.columns] };
    if (!steps[event.key]) return;
    event.preventDefault();
    go(cursor.row + steps[event.key][0], cursor.column + steps[event.key][1]);
  });
  // Who comes by keyboard starts at the largest number.
  canvas.addEventListener("focus", () => {
    if (!plan || !canvas.matches(":focus-visible") || (cursor.row >= 0 && cursor.column >= 0)) return;
    let most = 0;
    plan.numbers.forEach((n, i) => { if (Math.abs(n) > Math.abs(plan.numbers[most])) most = i; });
    go(Math.floor(most / plan.columns), most % plan.columns);
  });
  const go = (row, column) => {
    row = Math.max(0, Math.min(plan.rows - 1, row));
    column = Math.max(0, Math.min(plan.columns - 1, column));
    point(row, column);
    moved(row, column, true);
    const box = canvas.parentElement;                      // keep the cursor in sight where the canvas scrolls
    const x = area.left + (column + .5) * area.width / plan.columns;
    if (x < box.scrollLeft + 20 || x > box.scrollLeft + box.clientWidth - 20) box.scrollLeft = x - box.clientWidth / 2;
  };
  return { show, point };
}

// Where names fit they are written; where they do not, only where each text begins.
function laidOut(context, plan, room) {
  const font = getComputedStyle(context.canvas).fontFamily;
  const longest = (names) => {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.font = `${TEXT}px ${font}`;
    return Math.min(92, 8 + Math.max(...names.map((name) => context.measureText(name).width)));
  };
  let [left, top] = [0, 0];
  let size = plan.fit(room);
  const rowNames = size[1] / plan.rows >= TEXT && plan.rowNames;
  left = rowNames ? longest(rowNames) : plan.rowRuns ? 20 : 0;
  size = plan.fit(room - left);
  const columnNames = size[0] / plan.columns >= TEXT && plan.columnNames;
  top = columnNames ? longest(columnNames) : plan.columnRuns ? 20 : 0;
  return { left, top, width: size[0], height: size[1], all: [left + size[0], top + size[1]], rowNames, columnNames, font };
}

function painted(context, plan, area, ratio, { shade, card, soft, rule, accent, end }) {
  const { rows, columns, numbers } = plan;
  let largest = 0;
  for (const n of numbers) largest = Math.max(largest, Math.abs(n));
  // More cells than pixels: each pixel shows the largest of its cells, so that nothing strong is lost.
  const [wide, high] = [Math.min(columns, Math.floor(area.width * ratio)), Math.min(rows, Math.floor(area.height * ratio))];
  const largestOf = new Float32Array(wide * high);
  for (let r = 0; r < rows; r++) {
    const line = Math.floor(r * high / rows) * wide;
    for (let c = 0; c < columns; c++) {
      const place = line + Math.floor(c * wide / columns);
      const n = numbers[r * columns + c];
      if (Math.abs(n) > Math.abs(largestOf[place])) largestOf[place] = n;
    }
  }
  const pixels = new ImageData(wide, high);
  const packed = new Uint32Array(pixels.data.buffer);
  largestOf.forEach((n, i) => { packed[i] = shade(largest ? n / largest : 0); });
  const small = document.createElement("canvas");
  [small.width, small.height] = [wide, high];
  small.getContext("2d").putImageData(pixels, 0, 0);

  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, ...area.all);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, area.left, area.top, area.width, area.height);
  const [w, h] = [area.width / columns, area.height / rows];
  context.fillStyle = `rgb(${card.join(" ")})`;
  if (w >= 7) for (let c = 1; c < columns; c++) context.fillRect(area.left + c * w - .5, area.top, 1, area.height);
  if (h >= 7) for (let r = 1; r < rows; r++) context.fillRect(area.left, area.top + r * h - .5, area.width, 1);

  context.strokeStyle = `rgb(${rule.join(" ")})`;
  context.strokeRect(area.left + .5, area.top + .5, area.width - 1, area.height - 1);
  context.font = `${TEXT}px ${area.font}`;
  context.fillStyle = `rgb(${soft.join(" ")})`;
  context.textBaseline = "middle";
  const cut = (name, room) => {
    let text = name.replace(/\s+/g, " ");
    while (text.length > 1 && context.measureText(text).width > room) text = `${text.slice(0, -2).trimEnd()}…`;
    return text;
  };
  const upright = (name, x, y, room) => {
    context.save();
    context.translate(x, y);
    context.rotate(-Math.PI / 2);
    context.fillText(cut(name, room), 0, 0);
    context.restore();
  };
  if (area.rowNames) {
    context.textAlign = "end";
    area.rowNames.forEach((name, r) => context.fillText(cut(name, area.left - 7), area.left - 6, area.top + (r + .5) * h));
  }
  context.textAlign = "start";
  if (area.columnNames) area.columnNames.forEach((name, c) => upright(name, area.left + (c + .5) * w, area.top - 5, area.top - 7));
  const runs = (all, count) => (all ?? []).map((run, n) => ({ ...run, length: (all[n + 1]?.at ?? count) - run.at }));
  context.fillStyle = `rgb(${soft.join(" ")})`;
  const border = (...box) => { context.globalAlpha = .45; context.fillRect(...box); context.globalAlpha = 1; };
  const fits = (name, room) => context.measureText(name).width <= room;
  for (const { at, name, length } of runs(plan.columnRuns, columns)) {
    if (at) border(area.left + at * w - .5, area.top, 1, area.height);
    if (!area.columnNames && fits(name, length * w)) context.fillText(name, area.left + at * w + 1, area.top - 11);
  }
  context.textAlign = "end";
  for (const { at, name, length } of runs(plan.rowRuns, rows)) {
    if (at) border(area.left, area.top + at * h - .5, area.width, 1);
    if (!area.rowNames && fits(name, length * h)) upright(name, area.left - 11, area.top + at * h + 1, length * h);
  }
  if (!plan.answer) return;
  const [first, last] = plan.answer;                       // the answer's start and end, beside its rows and columns
  for (const [from, to, colour] of [[first, last + 1, soft], [first, first + .5, accent], [last + .5, last + 1, end]]) {
    context.fillStyle = `rgb(${colour.join(" ")})`;
    context.fillRect(area.left + from * w, area.top - 4, Math.max(2, (to - from) * w), 3);
    if (plan.rowRuns) context.fillRect(area.left - 4, area.top + from * h, 3, Math.max(2, (to - from) * h));
  }
}

// The page's own colours, as its classes a0 to a100 show them, but stronger for weak numbers: by the cube root.
const palettes = new WeakMap();
export function colours(root) {
  if (palettes.has(root)) return palettes.get(root);
  const style = getComputedStyle(root);
  const read = (name) => style.getPropertyValue(name).trim().split(/\s+/).map(Number);
  const palette = Object.fromEntries(["card", "for", "against", "ink", "soft", "rule", "accent", "end"]
    .map((name) => [name, read(`--${name}`)]));
  const side = (ends) => Uint32Array.from({ length: 256 }, (_, i) => {
    const [r, g, b] = palette.card.map((c, n) => Math.round(c + (ends[n] - c) * Math.cbrt(i / 255)));
    return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  });
  const [plus, minus] = [side(palette.for), side(palette.against)];
  palette.shade = (share) => (share < 0 ? minus : plus)[Math.round(255 * Math.min(1, Math.abs(share)))];
  palettes.set(root, palette);
  return palette;
}

export function forgetColours(root) { palettes.delete(root); }
