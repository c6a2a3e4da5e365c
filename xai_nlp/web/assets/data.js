// A data set: its rows, filtered; one that is clicked is explained.
import { call, make } from "./server.js";

export class Data {
  constructor(about, explain) {
    this.about = about;
    this.explain = explain;
    this.page = 0;
    this.turn = 0;
    this.section = document.querySelector(".data");
    this.filters = this.section.querySelector(".filters");
    this.section.querySelector("h2").textContent = about.name;
    const { label, prediction } = this.filters.elements;
    for (const [select, names] of [[label, about.labels], [prediction, about.predictions]]) {
      select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((name) => make("option", {}, name)));
      select.closest("label").hidden = !names.length;
    }
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.filters.addEventListener("input", () => this.go(0));
    this.section.querySelector(".before").addEventListener("click", () => this.go(this.page - 1));
    this.section.querySelector(".after").addEventListener("click", () => this.go(this.page + 1));
  }

  async go(page) {
    this.page = page;
    const turn = ++this.turn;
    clearTimeout(this.later);
    const wanted = new URLSearchParams({ page });
    for (const [name, value] of new FormData(this.filters)) if (value !== "") wanted.set(name, value);
    const where = this.section.querySelector(".where");
    let found;
    try {
      found = await call("GET", `data?${wanted}`);
    } catch (error) {
      where.textContent = error.message;
      return;
    }
    if (turn !== this.turn) return;                                  // filters have changed since
    this.draw(found);
    where.textContent = found.found ? `${found.found.toLocaleString("en")} rows · page ${page + 1} of ${found.pages}` : "No row matches.";
    this.section.querySelector(".before").disabled = page === 0;
    this.section.querySelector(".after").disabled = page + 1 >= found.pages;
    const all = found.looked === found.all;
    this.section.querySelector(".looked").textContent = all ? `${found.all.toLocaleString("en")} rows, looked at by ${this.about.model}`
      : `${this.about.model} has looked at ${found.looked.toLocaleString("en")} of ${found.all.toLocaleString("en")} rows`;
    if (!all && !this.section.hidden) this.later = setTimeout(() => this.go(this.page), 1500);
  }

  draw({ rows }) {
    const asks = this.about.task === "question-answering";
    const heads = [asks ? "Question" : "Text", asks ? "Right answer" : "Label", asks ? "Answer" : "Prediction", "Score"];
    this.section.querySelector("thead").replaceChildren(make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head))));
    this.section.querySelector("tbody").replaceChildren(...rows.map((row) => this.line(row, asks)));
  }

  line(row, asks) {
    const said = asks ? row.question : [row.text, row.pair].filter(Boolean).join(" / ");
    const button = make("button", { type: "button", onclick: () => this.explain(this.ask(row, asks)) }, said || "(empty)");
    const verdict = row.right === null ? "" : row.right ? "right" : "wrong";
    const mark = verdict ? make("span", { className: verdict, role: "img", "aria-label": verdict }, row.right ? "✓" : "✗") : "";
    const told = row.error || row.prediction || (row.prediction === null ? "…" : "no answer");
    return make("tr", {}, make("td", {}, button), make("td", {}, row.label), make("td", {}, mark, " ", told),
      make("td", { className: "number" }, row.score === null ? "" : row.score.toFixed(3)));
  }

  ask(row, asks) {
    const names = asks ? ["question", "context"] : ["text", "pair"];
    const asked = { model: this.about.model };
    for (const name of names) if (row[name]) asked[name] = row[name];
    return asked;
  }
}
