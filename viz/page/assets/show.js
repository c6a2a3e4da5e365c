// The script adds to a page that reads without it: numbers at the pointer, arrow keys, scales, filters, a download.
// Everything it shows is in the page already; text is moved by textContent only.

// False for a root that is mounted already: the script of every fragment in a notebook goes through all of them.
export function mount(root) {
  if (root.dataset.live !== undefined) return false;
  root.dataset.live = "";
  const controls = root.querySelector(".controls");
  if (!controls) return false;                            // nothing explained
  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());
  tips(root);
  for (const strip of root.querySelectorAll(".strip:not([data-peaks])")) arrows(strip);
  const paint = choices(root, controls);
  lightTexts(root, paint);
  longTexts(root);
  for (const group of root.querySelectorAll(".group")) views(group);
  filters(root, controls);
  sorting(root, controls);
  listing(root);
  findLines(root);
  firstVisit(root);
  controls.querySelector(".save")?.addEventListener("click", () => save(root));
  return true;
}

// The lines on reading are open on a first visit. Where nothing is kept between visits they stay folded.
function firstVisit(root) {
  try {
    if (localStorage.getItem("xai-nlp-read")) return;
    localStorage.setItem("xai-nlp-read", "yes");
    root.querySelector(".how").open = true;
  } catch { /* a sandbox, or a browser that keeps nothing */ }
}

// The word or region under the pointer or with the focus: its score, its share and its rank, inside the page on every side.
function tips(root) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");                // the mark itself carries it as its description
  root.append(tip);
  const hide = () => { tip.hidden = true; };
  const show = (event) => {
    const mark = event.target.closest?.(".t[data-n]");
    if (!mark) return hide();
    const more = document.createElement("span");
    more.textContent = ` · ${shareOf(mark)} of all that counts · no. ${mark.dataset.rank}`;
    const word = mark.matches("span") ? `${quote(mark.textContent)} ` : "";
    tip.replaceChildren(word, mark.getAttribute("aria-description") ?? mark.getAttribute("aria-label"), more);
    tip.hidden = false;
    place(tip, mark, root, event);
  };
  root.addEventListener("pointerover", show);
  root.addEventListener("pointerleave", hide);
  root.addEventListener("focusin", show);
  root.addEventListener("focusout", hide);
  root.addEventListener("scroll", hide, true);
  root.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

// |score| over the sum of all |scores| that are on screen: of the text's words or tokens, and of the image's regions.
function shareOf(mark) {
  const size = (one) => Math.abs(Number(one.dataset.n.replaceAll("−", "-")));
  const layer = mark.closest(".attended");                 // what a word drew from regions is no part of the scores
  const parts = layer ? [layer] : [...mark.closest(".row").querySelectorAll(".strip, .regions:not(.attended)")]
    .filter((part) => part.matches(".regions") || part.checkVisibility());
  const all = parts.flatMap((part) => [...part.querySelectorAll(".t[data-n]")]);
  const total = all.reduce((sum, one) => sum + size(one), 0);
  const share = total ? 100 * size(mark) / total : 0;
  return share && share < 1 ? "under 1\u00a0%" : `${Math.round(share)}\u00a0%`;
}

function place(tip, mark, root, event) {
  const boxes = [...mark.getClientRects()];               // one for each line that the mark is broken over
  const touched = (box) => event.clientY >= box.top && event.clientY <= box.bottom;
  const box = boxes.find((one) => event.clientY !== undefined && touched(one)) ?? boxes[0];
  const frame = root.getBoundingClientRect();
  const left = Math.max(frame.left, 0) + 4;
  const right = Math.min(frame.right, document.documentElement.clientWidth) - 4 - tip.offsetWidth;
  const middle = box.left + (box.width - tip.offsetWidth) / 2;
  const above = box.top - tip.offsetHeight - 6;
  tip.style.left = `${Math.max(left, Math.min(middle, right)) - frame.left}px`;
  tip.style.top = `${(above < 0 ? box.bottom + 6 : above) - frame.top}px`;
}

// Each text is one stop for the tab key; inside it the arrow keys go from mark to mark.
function arrows(strip) {
  const marks = [...strip.querySelectorAll("span.t:not([hidden] *)")];
  marks.forEach((mark, at) => { mark.tabIndex = at ? -1 : 0; });
  let current = 0;
  const go = (to) => {
    marks[current].tabIndex = -1;
    current = Math.max(0, Math.min(marks.length - 1, to));
    marks[current].tabIndex = 0;
    marks[current].focus();
  };
  const at = new Map(marks.map((mark, index) => [mark, index]));
  strip.addEventListener("focusin", (event) => {
    if (!at.has(event.target)) return;
    marks[current].tabIndex = -1;
    current = at.get(event.target);
    marks[current].tabIndex = 0;
  });
  strip.addEventListener("keydown", (event) => {
    if (!at.has(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
    const forward = getComputedStyle(event.target).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const back = forward === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
    const to = { [forward]: current + 1, [back]: current - 1, Home: 0, End: marks.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
}

// Words or tokens, own or shared scale, and from which strength on there is colour.
function choices(root, controls) {
  const least = controls.querySelector("[name=least]");
  const paint = (within) => {
    const scale = root.dataset.scale;
    for (const mark of within.querySelectorAll(".t[data-own]")) {
      const strength = Number(mark.dataset[scale]);
      const shown = strength < Number(least.value) ? 0 : strength;
      const now = [...mark.classList].find((name) => /^a\d+$/.test(name));
      if (now !== `a${shown}`) mark.classList.replace(now, `a${shown}`);
    }
  };
  for (const button of controls.querySelectorAll("[data-set]")) {
    button.addEventListener("click", () => {
      root.dataset[button.dataset.set] = button.value;
      for (const other of button.parentElement.children) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      paint(root);
    });
  }
  least.addEventListener("input", () => {
    least.nextElementSibling.textContent = `${least.value} %`;
    paint(root);
  });
  return paint;
}

// One button for each panel; on screen is the panel of the pressed one. Paper has them all.
// none: the pressed button can be released, then no panel is there.
function tabs(bar, panels, names, chosen, none) {
  const show = (to) => {
    panels.forEach((panel, at) => {
      panel.classList.toggle("aside-tab", at !== Math.max(to, 0));
      buttons[at].setAttribute("aria-pressed", String(at === to));
    });
    none?.(to < 0);
  };
  const buttons = panels.map((_, at) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: names[at] });
    button.addEventListener("click", () => show(none && button.getAttribute("aria-pressed") === "true" ? -1 : at));
    return button;
  });
  // A filter can hide panels: their buttons go, and another panel takes the place of the chosen one.
  const follow = () => {
    buttons.forEach((button, at) => { button.hidden = panels[at].hidden; });
    const there = panels.some((panel) => !panel.hidden && !panel.classList.contains("aside-tab"));
    if (!there) show(Math.max(0, panels.findIndex((panel) => !panel.hidden)));
  };
  bar.classList.add("tabs");
  bar.append(...buttons);
  bar.closest(".group").addEventListener("filter", follow);
  show(chosen);
  follow();
  return show;
}

// Words, layers, attention and every number of an example. Of many examples, none is open at first.
function views(group) {
  const more = group.querySelector(".more");
  if (!more) return;
  const panels = [...more.querySelectorAll(":scope > .panel")];
  for (const numbers of more.querySelectorAll("details.numbers")) numbers.open = true;
  const bar = Object.assign(document.createElement("div"), { className: "views" });
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "What is shown of it");
  more.before(bar);
  const folded = more.matches("details");
  const show = tabs(bar, panels, panels.map((panel) => panel.dataset.tab), folded ? -1 : 0,
    folded ? (none) => { more.open = !none; } : undefined);
  group.addEventListener("unfold", () => { if (folded && !more.open) show(0); });
}

function longTexts(root) {
  for (const button of root.querySelectorAll("button.open")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "show less of it" : "show all of the text";
      for (const strip of button.parentElement.querySelectorAll(".strip")) strip.classList.toggle("opened", open);
    });
  }
}

function save(root) {
  const text = root.querySelector("script.data").textContent;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "explanations.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
