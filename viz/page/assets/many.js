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

// Search, filter and sort.
function finding(root, controls) {
  const { search, label, right, sort } = controls.elements;
  if (!search) return;
  const cards = root.querySelector(".cards");
  const original = [...cards.children];
  const none = root.querySelector(".none");
  const lines = new Map([...root.querySelectorAll(".index tbody tr")].map((line) => [line.dataset.for, line]));
  const texts = new Map(original.map((card) => [card, [...card.querySelectorAll(".strip:not(.only-tokens) .tokens")]
    .map((text) => text.textContent.toLowerCase()).join("\n")]));
  const orders = {
    original: () => 0,
    top: (a, b) => Number(b.dataset.top) - Number(a.dataset.top),
    label: (a, b) => a.dataset.label.localeCompare(b.dataset.label),
  };
  const find = () => {
    const query = search.value.toLowerCase();
    let visible = 0;
    for (const card of original) {
      card.hidden = !(texts.get(card).includes(query) && (!label.value || card.dataset.label === label.value)
        && (!right?.value || card.dataset.right === right.value));
      lines.get(card.id)?.toggleAttribute("hidden", card.hidden);
      visible += !card.hidden;
    }
    none.hidden = visible > 0;
  };
  for (const input of [search, label, right]) input?.addEventListener("input", find);
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
    for (const more of card.querySelectorAll("details.more")) more.open = true;
    card.scrollIntoView({ block: "start" });
    card.focus({ preventScroll: true });
  });
}
