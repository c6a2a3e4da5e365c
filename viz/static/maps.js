// Layers and attention, drawn: a map of tokens and layers, a matrix for each head, and whom a word draws on.
// Numbers come deflated with the page and are unpacked when a map first comes into view or a word is pointed at.

export function maps(root) {
  for (const card of root.querySelectorAll(".card.maps")) mapsOf(root, card);
}

const LEVELS = 127;

function mapsOf(root, card) {
  if (typeof DecompressionStream === "undefined") return;  // the tables say the most important
  const told = JSON.parse(card.querySelector("script.numbers").textContent);
  const group = card.closest(".group");
  const row = group.querySelector(`.row[data-maps="${card.dataset.maps}"]`);
  for (const part of card.querySelectorAll(".drawn")) part.hidden = false;
  const paints = [];
  if (told.layers) paints.push(layerMap(root, card.querySelector(".flows"), told));
  const stacks = [...card.querySelectorAll(".stack")].map((box, n) => stackOf(root, box, told, told.stacks[n]));
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    for (const paint of paints) paint();
    for (const stack of stacks) stack.paint();
  });
  seen.observe(card);
  const again = () => { for (const paint of [...paints, ...stacks.map((stack) => stack.paint)]) paint(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { ramps.delete(root); again(); });
  if (stacks.length) drawing(root, row, stacks[0]);
}

// The page's own colours, read once: what the classes a0 to a100 look like for and against.
const ramps = new WeakMap();
function ramp(root) {
  if (ramps.has(root)) return ramps.get(root);
  const style = getComputedStyle(root);
  const read = (name) => style.getPropertyValue(name).trim().split(/\s+/).map(Number);
  const [card, plus, minus, ink] = ["--card", "--for", "--against", "--ink"].map(read);
  const colour = (share) => {
    const end = share < 0 ? minus : plus;
    const a = Math.min(1, Math.abs(share));
    return card.map((c, i) => Math.round(c + (end[i] - c) * a));
  };
  const found = { colour, card, ink };
  ramps.set(root, found);
  return found;
}

// A grid of numbers on a canvas, with a cursor that the pointer and the arrow keys move.
function grid(root, canvas, { rows, columns, value, tell, width, height }) {
  const box = canvas.parentElement;
  const said = box.nextElementSibling;
  const context = canvas.getContext("2d");
  const at = { row: -1, column: -1 };
  let image = null;
  const draw = () => {
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    if (at.row < 0) return;
    const [w, h] = [canvas.width / columns, canvas.height / rows];
    context.strokeStyle = `rgb(${ramp(root).ink.join(" ")})`;
    context.lineWidth = Math.max(1, devicePixelRatio);
    context.globalAlpha = 0.45;
    context.strokeRect(0, at.row * h, canvas.width, h);
    context.strokeRect(at.column * w, 0, w, canvas.height);
    context.globalAlpha = 1;
    context.strokeRect(at.column * w, at.row * h, w, h);
  };
  const paint = () => {
    let largest = 0;
    const numbers = new Float32Array(rows * columns);
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
      const n = value(r, c);
      numbers[r * columns + c] = n;
      largest = Math.max(largest, Math.abs(n));
    }
    image = document.createElement("canvas");
    [image.width, image.height] = [columns, rows];
    const pixels = new ImageData(columns, rows);
    const { colour } = ramp(root);
    numbers.forEach((n, i) => {
      const [red, green, blue] = colour(largest ? n / largest : 0);
      pixels.data.set([red, green, blue, 255], 4 * i);
    });
    image.getContext("2d").putImageData(pixels, 0, 0);
    const [wide, high] = [Math.max(width(box.clientWidth), columns), Math.max(height(box.clientWidth), rows)];
    canvas.style.setProperty("width", `${wide}px`);
    canvas.style.setProperty("height", `${high}px`);
    canvas.width = Math.round(wide * devicePixelRatio);
    canvas.height = Math.round(high * devicePixelRatio);
    draw();
    said.textContent = tell(at.row, at.column, largest);
  };
  const go = (row, column) => {
    row = Math.max(0, Math.min(rows - 1, row));
    column = Math.max(0, Math.min(columns - 1, column));
    if (row === at.row && column === at.column) return;
    [at.row, at.column] = [row, column];
    draw();
    said.textContent = tell(row, column);
  };
  canvas.addEventListener("pointermove", (event) => {
    const frame = canvas.getBoundingClientRect();
    go(Math.floor((event.clientY - frame.top) / frame.height * rows),
      Math.floor((event.clientX - frame.left) / frame.width * columns));
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !image) return;
    event.preventDefault();
    go(at.row + step[0], at.column + step[1]);
  });
  return paint;
}

function layerMap(root, box, { tokens, layers, unit }) {
  const rows = layers.length;
  const layer = (row) => rows - 1 - row;                   // the first layer at the bottom
  return grid(root, box.querySelector("canvas"), {
    rows,
    columns: tokens.length,
    value: (row, column) => layers[layer(row)][column],
    width: (room) => Math.min(room, tokens.length * 26),
    height: () => rows * 18,
    tell: (row, column) => (row < 0 ? "" :
      `layer ${layer(row)} · “${tokens[column]}” ${number(layers[layer(row)][column], unit)}`),
  });
}

function stackOf(root, box, told, stack) {
  const [count, heads, Q, K] = stack.shape;
  const [queries, keys] = [stack.queries ?? told.tokens, stack.keys ?? told.tokens];
  const chosen = { layer: "all", head: "all" };
  let levels = null;
  let sums = null;                                         // the matrix of what is chosen, Q × K
  const unpacked = unpack(stack.levels).then((found) => { levels = found; });
  const add = () => {
    sums = new Float32Array(Q * K);
    const pick = (wanted, n) => (wanted === "all" ? [...Array(n).keys()] : [wanted]);
    const [inLayers, inHeads] = [pick(chosen.layer, count), pick(chosen.head, heads)];
    const share = stack.weights ? 1 / (inLayers.length * inHeads.length) : 1;   // shares are averaged
    for (const l of inLayers) for (const h of inHeads) {
      const scale = share * stack.peaks[l][h] / LEVELS;
      const start = (l * heads + h) * Q * K;
      for (let i = 0; i < sums.length; i++) sums[i] += levels[start + i] * scale;
    }
  };
  const name = () => {
    const head = chosen.head === "all" ? "all heads" : `head ${chosen.head}`;
    return chosen.layer === "all" ? "all layers, all heads" : `${stack.layers[chosen.layer]}, ${head}`;
  };
  const side = () => Math.min(box.clientWidth, Math.max(260, Math.min(600, K * 22)));
  const draw = grid(root, box.querySelector("canvas"), {
    rows: Q,
    columns: K,
    value: (row, column) => sums[row * K + column],
    width: side,
    height: (room) => side(room) * Q / K,
    tell: (row, column, largest) => (row < 0 ? `${name()}: largest ${number(largest ?? 0, stack.unit)}` :
      `${name()} · “${queries[row]}” ← “${keys[column]}” ${number(sums[row * K + column], stack.unit)}`),
  });
  const paint = () => unpacked.then(() => { add(); draw(); });
  const buttons = [...box.querySelectorAll("table.heads [data-layer]")].map((cell) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    const { layer, head } = cell.dataset;
    button.setAttribute("aria-label", layer === "all" ? "all layers" :
      `${stack.layers[layer]}, ${head === "all" ? "all heads" : `head ${head}`}${head === "all" ? "" : `: ${cell.textContent}`}`);
    cell.replaceChildren(button);
    const press = () => button.setAttribute("aria-pressed",
      String(String(chosen.layer) === layer && String(chosen.head) === head));
    button.addEventListener("click", () => {
      chosen.layer = layer === "all" ? "all" : Number(layer);
      chosen.head = head === "all" ? "all" : Number(head);
      for (const other of buttons) other();
      paint();
    });
    press();
    return press;
  });
  return {
    paint,
    square: Q === K && !stack.queries && !stack.keys,
    // What the tokens `from` drew on each token: K numbers, and what is chosen.
    drawnBy: (from) => {
      if (!levels) return null;
      if (!sums) add();
      const found = new Float32Array(K);
      for (const query of from) for (let k = 0; k < K; k++) found[k] += sums[query * K + k];
      return { found, name: name(), unit: stack.unit };
    },
  };
}

// Pointing at a word tints the others by what it drew on them, for the head that is chosen.
function drawing(root, row, stack) {
  if (!row || !stack.square) return;
  const marks = [...row.querySelectorAll("span.t[data-m]")].map((mark) => ({ mark, tokens: mark.dataset.m.split(" ").map(Number) }));
  const tokensOf = new Map(marks.map(({ mark, tokens }) => [mark, tokens]));
  const ofStrip = new Map([...row.querySelectorAll(".strip")].map((strip) => [strip, marks.filter(({ mark }) => strip.contains(mark))]));
  const note = row.querySelector(".body").appendChild(document.createElement("p"));
  note.className = "note drawn-note";
  const hint = "Point at a word to see whom it draws on.";
  note.textContent = hint;
  let current = null;
  let tinted = [];                                         // marks whose classes are ours for now, and their own
  const untint = () => {
    for (const one of tinted) one.mark.className = one.own;
    tinted = [];
  };
  const clear = () => {
    if (!current) return;
    current = null;
    note.textContent = hint;
    row.classList.remove("drawing");
    untint();
  };
  const show = (event) => {
    const from = event.target.closest?.("span.t[data-m]");
    if (from === current) return;
    const drawn = from && row.contains(from) && stack.drawnBy(tokensOf.get(from));
    if (!drawn) return clear();
    current = from;
    row.classList.add("drawing");
    const mine = ofStrip.get(from.closest(".strip"));
    if (tinted !== mine) {
      untint();
      for (const one of mine) {
        one.own = one.mark.className;
        one.shape = one.own.split(" ").filter((name) => !/^([pnz]|a\d+)$/.test(name)).join(" ");
      }
      tinted = mine;
    }
    const totals = mine.map(({ tokens }) => tokens.reduce((sum, token) => sum + drawn.found[token], 0));
    const largest = Math.max(...totals.map(Math.abs)) || 1;
    mine.forEach(({ mark, shape }, i) => {                  // classes, for styles of their own cost ten times as much
      const step = Math.round(100 * Math.abs(totals[i]) / largest);
      mark.className = `${shape} ${totals[i] < 0 ? "n" : "p"} a${step}${mark === from ? " from" : ""}`;
    });
    const most = Math.max(0, totals.findIndex((total) => Math.abs(total) === largest));
    note.textContent = `“${from.textContent}” drew most on “${mine[most].mark.textContent}” ` +
      `(${number(totals[most], drawn.unit)}) · ${drawn.name}`;
  };
  row.addEventListener("pointerover", show);
  row.addEventListener("focusin", show);
  row.addEventListener("pointerleave", clear);
  row.addEventListener("focusout", clear);
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Int8Array(await new Response(stream).arrayBuffer());
}

function number(n, unit) {
  const size = Math.abs(n) >= 1e-4 || !n ? Math.abs(n).toPrecision(3) : Math.abs(n).toExponential(1);
  return `${n < 0 ? "−" : "+"}${size}${unit ? `\u00a0${unit}` : ""}`;
}
