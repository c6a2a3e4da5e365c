// "What if": words of an explained text are edited, and the changes stand beside the old prediction and scores.
import { call, make, percent } from "./server.js";

const WORDS = new Intl.Segmenter(undefined, { granularity: "word" });

export class WhatIf {
  // explain: called with the changed request and the id of the entry that it belongs to.
  constructor(section, about, explain) {
    this.section = section;
    this.about = about;
    this.explain = explain;
    this.texts = section.querySelector(".texts");
    this.button = section.querySelector(".primary");
    section.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.changed) this.explain(this.request(), this.id);
    });
    section.querySelector(".undo").addEventListener("click", () => this.show(this.entry));
  }

  // Offer the words of an entry, if it was made from a request with texts.
  show(entry) {
    const task = entry && this.about.tasks.find(({ name }) => name === entry.task);
    const inputs = (task?.inputs ?? []).filter(({ kind, name }) => kind !== "image" && entry.request?.[name]);
    this.section.hidden = !inputs.length;
    if (!inputs.length) return;
    this.entry = entry;
    this.id = entry.id;
    this.parts = new Map(inputs.map(({ name }) => [name, [...WORDS.segment(entry.request[name])]
      .map(({ segment, isWordLike }) => ({ text: segment, before: segment, word: isWordLike }))]));
    this.texts.replaceChildren(...[...this.parts.values()].map((parts) => make("p", {},
      ...parts.map((part) => (part.word ? this.wordButton(part) : part.text)))));
    this.update();
  }

  wordButton(part) {
    const changed = part.text !== part.before;
    const label = changed ? `${part.before}, now ${part.text || "nothing"}` : part.text;
    const button = make("button", { type: "button", className: changed ? "word edited" : "word", "aria-label": `Change ${label}` },
      part.text || "∅");
    button.addEventListener("click", () => {
      const input = make("input", { value: part.text, size: Math.max(4, part.text.length + 2), maxLength: 100, autocomplete: "off",
        "aria-label": `Instead of ${part.before}; empty leaves it out` });
      let open = true;
      const leave = (text) => {                                      // a removal blurs the field, which calls this again
        if (!open) return null;
        open = false;
        part.text = text.trim();
        const next = this.wordButton(part);
        input.replaceWith(next);
        this.update();
        return next;
      };
      input.addEventListener("blur", () => leave(input.value));
      input.addEventListener("keydown", (event) => {
        if (event.key === "Escape") leave(part.before).focus();
        if (event.key !== "Enter") return;
        event.preventDefault();
        leave(input.value).focus();
        this.section.querySelector("form").requestSubmit();
      });
      button.replaceWith(input);
      input.select();
    });
    return button;
  }

  get changed() { return [...this.parts.values()].flat().some((part) => part.text !== part.before); }

  update() {
    this.button.disabled = !this.changed;
    this.section.querySelector(".undo").hidden = !this.changed;
  }

  request() {
    const texts = [...this.parts].map(([name, parts]) => [name, parts.map(({ text }) => text).join("").replace(/ {2,}/g, " ").trim()]);
    return { ...this.entry.request, ...Object.fromEntries(texts) };
  }
}

// The changes between two entries: prediction, outputs and words, before and after.
export async function drawChange(place, before, after) {
  const change = await call("GET", `changes/${before},${after}`);
  const [was, is] = change.prediction;
  const [share, shareNow] = [was, is].map((name, side) => change.outputs.find(({ label }) => label === name)?.scores[side]);
  const sentence = was === is ? `The prediction stays ${is}: ${level(share)} before, ${level(shareNow)} now.`
    : `The prediction changed from ${was} (${level(share)}) to ${is} (${level(shareNow)}).`;
  const outputs = [...change.outputs].sort((a, b) => Math.max(...b.scores) - Math.max(...a.scores)).slice(0, 5);
  const targets = change.target[0] === change.target[1] ? `for ${change.target[1]}` : `for ${change.target.join(", then ")}`;
  place.replaceChildren(make("h2", {}, sentence),
    table("Outputs", [["Output", ""], ["Before", "number"], ["Now", "number"], ["Change", "number"]], outputs.map(({ label, scores }) => row([label], scores, level))),
    table("Words", [["Word before", ""], ["Word now", ""], ["Score before", "number"],
      ["Score now", "number"], ["Change", "number"]], change.words.map(({ words, scores }) => row(
      words.map((word) => word ?? "–"), scores, (score) => signed(score), words[0] !== words[1]))),
    make("p", { className: "hint" }, `Scores are ${targets}, by ${change.method.replaceAll("_", " ")}${change.unit ? `, in ${change.unit}` : ""}.`));
  place.hidden = false;
}

function row(names, [before, now], write, changed = false) {
  const both = [before, now].every((value) => typeof value === "number");
  const numbers = [before, now].map((value) => (typeof value === "number" ? write(value) : "–"));
  const cells = [...numbers, both ? signed(now - before) : "–"].map((text) => make("td", { className: "number" }, text));
  return make("tr", { className: changed ? "changed" : "" }, ...names.map((name) => make("td", {}, name)), ...cells);
}

function table(name, heads, rows) {
  return make("div", { className: "rows", tabIndex: 0, role: "region", "aria-label": name }, make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map(([head, className]) => make("th", { scope: "col", className }, head)))), make("tbody", {}, ...rows)));
}

function signed(value) { return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`; }

function level(value) {
  if (typeof value !== "number") return "unknown";
  return value >= 0 && value <= 1 ? percent(value) : value.toFixed(3);
}
