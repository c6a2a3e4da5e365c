// The text once more, without scores: pointing at a word colours the others by what is between them and it.
function reader(box, strips, state, pointed) {
  const place = box.querySelector(".reader");
  let marks = [];
  const shape = (mark) => [...mark.classList].filter((name) => ["l", "r", "chip"].includes(name)).join(" ");
  const copy = () => {
    for (const strip of strips) {
      const twin = strip.cloneNode(true);
      twin.classList.remove("long");
      if (twin.classList.contains("opened")) twin.classList.remove("opened");
      for (const number of twin.querySelectorAll(".chips .of:not(:first-child)")) number.remove();
      for (const unscored of twin.querySelectorAll(".chips, .chips [hidden]")) unscored.hidden = false;
      for (const mark of twin.querySelectorAll("span.t")) {
        mark.className = `t p a0 ${shape(mark)}`;
        for (const name of ["data-own", "data-shared", "data-n", "data-rank", "aria-description"]) mark.removeAttribute(name);
      }
      place.append(twin);
      arrows(twin);
    }
  };
  const visible = () => [...place.querySelectorAll(".strip")].find((strip) => strip.offsetParent !== null);
  const tint = (view, row, by, also) => {
    if (!marks.length) return;
    const line = by >= 0 ? view.column(by) : view.row(row);
    let largest = 0;
    for (const n of line) largest = Math.max(largest, Math.abs(n));
    for (const one of marks) {                             // only what changes is touched: this runs at every move
      let n = 0;
      for (const i of one.places) n += line[i];
      const share = largest ? Math.round(100 * Math.min(1, Math.abs(n) / largest)) : 0;
      const look = `t ${n < 0 ? "n" : "p"} a${share} ${one.edges}${one.places.includes(by >= 0 ? by : row) ? " from" : ""}${one.places.includes(also) ? " to" : ""}`;
      if (look !== one.look) one.mark.className = one.look = look;
    }
  };
  const show = (view) => {
    const own = view.square;
    place.hidden = !own;
    if (!own) return;
    if (!place.querySelector(".strip")) copy();
    const strip = visible();
    marks = [...strip?.querySelectorAll("span.t[data-m]") ?? []].map((mark) => ({
      mark,
      look: "",
      edges: shape(mark),
      places: [...new Set(mark.dataset.m.split(" ").map((token) => view.rows.place[token]))],
    }));
    state.mark = null;
    if (state.at !== null) aim(false);                     // at first, what the answer draws on
  };
  const move = (event) => {
    const mark = event.target.closest?.("span.t[data-m]");
    const known = mark && state.view && marks.find((one) => one.mark === mark);
    if (!known || mark === state.mark) return;
    state.mark = mark;
    state.at = known.places[0];
    aim(event.type === "focusin");
  };
  const aim = (keyed) => {
    const [row, column] = state.by ? [-1, state.at] : [state.at, -1];
    tint(state.view, row, column);
    pointed(row, column, keyed);
  };
  place.addEventListener("pointerover", move);
  place.addEventListener("focusin", move);
  for (const button of place.querySelectorAll(".choice button")) {
    button.addEventListener("click", () => {
      state.by = button.value === "by";
      for (const other of place.querySelectorAll(".choice button")) other.setAttribute("aria-pressed", String(other === button));
      if (state.at !== null) aim(true);
    });
  }
  return { show, tint };
}
