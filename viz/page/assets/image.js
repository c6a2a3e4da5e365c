// The image: regions under pointer and keys, their opacity, and attention from a word to each region.

export function images(root) {
  const see = root.querySelector(".controls [name=see]");
  see?.addEventListener("input", () => {
    root.style.setProperty("--see", see.value / 100);
    see.nextElementSibling.textContent = `${see.value} %`;
  });
  for (const figure of root.querySelectorAll(".over")) {
    const regions = byNumber(figure.querySelector(".regions"));
    for (const region of regions) {                        // the page shows its own tip; a title would be a second one
      const title = region.querySelector("title");
      region.setAttribute("aria-label", title.textContent);
      title.remove();
    }
    reachable(figure.querySelector(".frame"), regions);
    if (figure.dataset.links !== undefined) linking(figure, regions);
  }
  for (const group of root.querySelectorAll(".group")) pointing(group);
}

function byNumber(layer) {
  return [...layer.children].sort((a, b) => a.dataset.r - b.dataset.r);
}

// The image is one stop for the tab key; arrow keys go through the grid, or from region to region.
// Listeners are the frame's: a drawing that listens for focus would become a stop of its own.
function reachable(frame, regions) {
  const columns = Number(frame.querySelector("svg").dataset.columns);
  let current = regions.findIndex((region) => region.dataset.rank === "1");
  regions.forEach((region, at) => { region.tabIndex = at === current ? 0 : -1; });
  frame.addEventListener("focusin", (event) => {
    if (event.target.dataset.r === undefined) return;
    const at = Number(event.target.dataset.r);
    const layer = event.target.parentElement;
    [layer.querySelector("[tabindex='0']"), regions[current]].forEach((one) => one?.setAttribute("tabindex", -1));
    current = at;
    event.target.tabIndex = 0;
  });
  frame.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.dataset.r === undefined) return;
    const line = columns || 1;
    const column = columns ? current % columns : 0;
    const to = {
      ArrowRight: columns && column === columns - 1 ? current : current + 1,
      ArrowLeft: columns && column === 0 ? current : current - 1,
      ArrowDown: current + line,
      ArrowUp: current - line,
      Home: 0,
      End: regions.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.target.parentElement.querySelector(`[data-r="${to}"]`)?.focus();
  });
}

// A word that is clicked or has the focus: the regions in the colours of what it drew on them, on a scale of its own.
function linking(figure, regions) {
  const row = figure.closest(".row");
  const { unit, weights, rows } = JSON.parse(figure.querySelector(".links").textContent);
  const drew = figure.querySelector(".drew");
  const caption = figure.querySelector(".caption");
  figure.querySelector(".hint").hidden = false;
  let layer = null;
  let twins = [];
  let mark = null;
  const back = () => {
    mark?.classList.remove("looks");
    mark = null;
    figure.classList.remove("reading");
    drew.hidden = true;
    caption.hidden = false;
  };
  const show = (chosen) => {
    if (!layer) {
      layer = figure.querySelector(".regions").cloneNode(true);
      layer.classList.add("attended");
      figure.querySelector(".regions").after(layer);
      twins = byNumber(layer);
    }
    mark?.classList.remove("looks");
    mark = chosen;
    mark.classList.add("looks");
    const tokens = mark.dataset.m.split(" ").map(Number);
    const line = regions.map((_, r) => tokens.reduce((sum, token) => sum + rows[token][r], 0) / (weights ? tokens.length : 1));
    const order = line.map((_, r) => r).sort((a, b) => Math.abs(line[b]) - Math.abs(line[a]));
    const largest = Math.abs(line[order[0]]);
    twins.forEach((twin, r) => {
      const n = line[r];
      const sign = n < 0 ? "n" : n > 0 ? "p" : "z";
      twin.setAttribute("class", `t region ${sign} a${largest ? Math.round(100 * Math.abs(n) / largest) : 0}`);
      for (const name of ["data-own", "data-shared"]) twin.removeAttribute(name);
      twin.dataset.n = n ? signed(n, unit, 3) : "0";
      twin.dataset.rank = order.indexOf(r) + 1;
      twin.setAttribute("aria-label", `${regions[r].getAttribute("aria-label").split(":")[0]}: ${twin.dataset.n}, for ${quote(mark.textContent)}`);
    });
    const name = regions[order[0]].getAttribute("aria-label").split(":")[0];
    const most = largest ? `most from ${name}, ${signed(line[order[0]], unit, 3)}; colours up to that` : "nothing from any region";
    figure.querySelector(".which").textContent = `What ${quote(mark.textContent)} drew from each region: ${most}.`;
    figure.classList.add("reading");
    drew.hidden = false;
    caption.hidden = true;
  };
  const marked = (event) => event.target.closest?.("span.t[data-m]");
  for (const strip of row.querySelectorAll(".strip")) {
    strip.classList.add("linking");
    let before = null;
    strip.addEventListener("pointerdown", () => { before = mark; });
    strip.addEventListener("focusin", (event) => { if (marked(event) && marked(event) !== mark) show(marked(event)); });
    strip.addEventListener("click", (event) => {
      const chosen = marked(event);
      if (!chosen) return;
      if (chosen === before) back(); else show(chosen);
    });
  }
  row.addEventListener("keydown", (event) => { if (event.key === "Escape") back(); });
  figure.querySelector(".back").addEventListener("click", back);
}

// A region of the list is outlined in the image.
function pointing(group) {
  for (const line of group.querySelectorAll("[data-region]")) {
    const there = () => group.querySelectorAll(`.region[data-r="${line.dataset.region}"]`);
    line.addEventListener("pointerenter", () => there().forEach((region) => region.classList.add("at")));
    line.addEventListener("pointerleave", () => there().forEach((region) => region.classList.remove("at")));
  }
}
