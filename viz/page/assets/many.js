// Pages of many texts: search, filters, a table that sorts, and numbers that are handed out when a text comes near.

// A light text keeps its numbers in one attribute; its marks get theirs when it comes near the window.
function lightTexts(root, paint) {
  const strips = [...root.querySelectorAll(".strip[data-peaks]")];
  if (!strips.length) return;
  const handOut = (strip) => {
    const [own, shared] = strip.dataset.peaks.split(" ").map(Number);
    const all = [...strip.querySelectorAll(".tokens")].flatMap((text) => {
      const numbers = text.dataset.numbers ? text.dataset.numbers.split(" ") : [];
      return [...text.querySelectorAll("span.t")].map((mark, at) => ({ mark, text: numbers[at], n: Number(numbers[at]) }));
    });
    const step = (n, peak) => (peak ? Math.min(100, Math.round(100 * Math.abs(n) / peak)) : 0);
    [...all].sort((a, b) => Math.abs(b.n) - Math.abs(a.n)).forEach((one, at) => { one.rank = at + 1; });
    for (const { mark, text, n, rank } of all) {
      const number = `${n > 0 ? "+" : ""}${text.replaceAll("-", "−")}`;
      Object.assign(mark.dataset, { own: step(n, own), shared: step(n, shared), n: number, rank });
      mark.setAttribute("aria-description", `${number}${strip.dataset.unit ? `\u00a0${strip.dataset.unit}` : ""}`);
    }
    strip.removeAttribute("data-peaks");
    arrows(strip);
    paint(strip);
  };
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      handOut(target);
    }
  }, { rootMargin: "600px" });
  for (const strip of strips) near.observe(strip);
}

// What does not match is not there: examples by search, label and answer; explanations by method, model and target.
function filters(root, controls) {
  const { search, label, right } = controls.elements;
  const selects = [...controls.querySelectorAll("[data-rows]")];
  const cards = [...root.querySelectorAll(".cards > .group")];
  const none = root.querySelector(".none");
  const lines = new Map([...root.querySelectorAll(".index tbody tr")].map((line) => [line.dataset.for, line]));
  const texts = new Map(search ? cards.map((card) => [card, [...card.querySelectorAll(".row .strip:not(.only-tokens) .tokens")]
    .map((text) => text.textContent.toLowerCase()).join("\n")]) : []);
  const matches = (card) => !search || (texts.get(card).includes(search.value.toLowerCase())
    && (!label.value || card.dataset.label === label.value) && (!right?.value || card.dataset.right === right.value));
  const rowMatches = (row, target) => (!target || row.dataset.target === target)
    && selects.every(({ value, dataset }) => !value || row.dataset[dataset.rows] === value);
  const find = () => {
    for (const card of cards) {
      const target = card.querySelector(".switch [aria-pressed=true]")?.value;
      const rows = [...card.querySelectorAll(".row.named")];
      for (const row of rows) row.hidden = !rowMatches(row, target);
      if (rows.length) detailsOf(card, rows.map((row) => row.hidden));
      card.hidden = !matches(card) || (rows.length > 0 && rows.every((row) => row.hidden));
      lines.get(card.id)?.toggleAttribute("hidden", card.hidden);
    }
    none.hidden = cards.some((card) => !card.hidden);
  };
  for (const input of [search, label, right, ...selects]) input?.addEventListener("input", find);
  const switches = [...root.querySelectorAll(".switch")];
  for (const bar of switches) {
    bar.hidden = false;
    bar.addEventListener("click", (event) => {
      const chosen = event.target.closest("button");
      if (!chosen) return;
      for (const button of bar.children) button.setAttribute("aria-pressed", String(button === chosen));
      find();
    });
  }
  if (switches.length) find();
}

// The columns, maps and heads of explanations that do not match.
function detailsOf(card, hidden) {
  for (const part of card.querySelectorAll("[data-map]:not(script)")) part.hidden = hidden[part.dataset.map];
  for (const part of card.querySelectorAll("section[data-rows]")) {
    part.hidden = part.dataset.rows.split(" ").every((row) => hidden[row]);
  }
  for (const table of card.querySelectorAll("table[data-rows]")) {
    const columns = table.dataset.rows.split(" ");
    const names = table.rows[0].cells.length - columns.length;
    for (const line of table.rows) columns.forEach((row, at) => { line.cells[names + at].hidden = hidden[row]; });
  }
  card.dispatchEvent(new Event("filter"));
}

// Lines of an overview's tables by their word; folded ones come out while a word is looked for.
function findLines(root) {
  const form = root.querySelector("form.find");
  if (!form) return;
  const lines = [...root.querySelectorAll(".lines li")].map((line) => [line, line.querySelector(".word").textContent.toLowerCase()]);
  const cards = [...root.querySelectorAll(".lines")];
  const found = form.querySelector("output");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.word.addEventListener("input", ({ target }) => {
    const word = target.value.trim().toLowerCase();
    let count = 0;
    for (const [line, text] of lines) {
      line.hidden = !text.includes(word);
      count += !line.hidden;
    }
    for (const card of cards) {
      card.hidden = !card.querySelector("li:not([hidden])");
      for (const folded of card.querySelectorAll("details")) folded.open = word !== "";
    }
    found.textContent = word ? `${count} ${count === 1 ? "line" : "lines"}` : "";
  });
}

function sorting(root, controls) {
  const { sort } = controls.elements;
  const cards = root.querySelector(".cards");
  const original = [...cards?.children ?? []];
  const orders = {
    original: () => 0,
    top: (a, b) => Number(b.dataset.top) - Number(a.dataset.top),
    label: (a, b) => a.dataset.label.localeCompare(b.dataset.label),
  };
  sort?.addEventListener("input", () => cards.append(...[...original].sort(orders[sort.value])));
}

// The table of all examples: a head sorts it and the examples with it, a link goes to its example.
function listing(root) {
  const table = root.querySelector(".index table");
  if (!table) return;
  const body = table.tBodies[0];
  const cards = root.querySelector(".cards");
  const cardOf = new Map([...cards.children].map((card) => [card.id, card]));
  const key = (line, column) => line.cells[column].dataset.key ?? line.cells[column].textContent;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const compare = head.dataset.sort === "number"
        ? (a, b) => key(a, column) - key(b, column)
        : (a, b) => key(a, column).localeCompare(key(b, column));
      const sorted = [...body.rows].sort((a, b) => (down ? -1 : 1) * compare(a, b));
      body.append(...sorted);
      cards.append(...sorted.map((line) => cardOf.get(line.dataset.for)));
    });
  });
  table.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (!link) return;
    event.preventDefault();                                // a notebook would take the address for its own
    const card = cardOf.get(link.closest("tr").dataset.for);
    card.dispatchEvent(new Event("unfold"));
    card.scrollIntoView({ block: "start" });
    card.focus({ preventScroll: true });
  });
}
