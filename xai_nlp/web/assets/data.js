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
    const query = new URLSearchParams({ page });
    for (const [name, value] of new FormData(this.filters)) if (value !== "") query.set(name, value);
    const where = this.section.querySelector(".where");
    let answer;
    try {
      answer = await call("GET", `data?${query}`);
    } catch (error) {
      where.textContent = error.message;
      return;
    }
    if (turn !== this.turn) return;                                  // filters have changed since
    this.draw(answer);
    const count = (number) => number.toLocaleString("en");
    where.textContent = answer.matches ? `${count(answer.matches)} rows · page ${page + 1} of ${answer.pages}` : "No row matches.";
    this.section.querySelector(".before").disabled = page === 0;
    this.section.querySelector(".after").disabled = page + 1 >= answer.pages;
    const all = answer.predicted === answer.all;
    this.section.querySelector(".predicted").textContent = all ? `${count(answer.all)} rows, predicted by ${this.about.model}`
      : `${this.about.model} has predicted ${count(answer.predicted)} of ${count(answer.all)} rows`;
    if (!all && !this.section.hidden) this.later = setTimeout(() => this.go(this.page), 1500);
  }

  draw({ rows }) {
    const classes = this.about.predictions.length > 0;
    const heads = ["Input", classes ? "Label" : "Right answer", classes ? "Prediction" : "Answer", "Score"];
    this.section.querySelector("thead").replaceChildren(make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head))));
    this.section.querySelector("tbody").replaceChildren(...rows.map((row) => this.line(row, classes)));
  }

  line(row, classes) {
    const texts = Object.values(row.inputs);
    const text = classes ? texts.filter(Boolean).join(" / ") : texts[0];
    const explain = () => this.explain({ model: this.about.model, ...row.inputs });
    const button = make("button", { type: "button", onclick: explain }, text || "(empty)");
    const verdict = row.right === null ? "" : row.right ? "right" : "wrong";
    const mark = verdict ? make("span", { className: verdict, role: "img", "aria-label": verdict }, row.right ? "✓" : "✗") : "";
    const prediction = row.error || row.prediction || (row.prediction === null ? "…" : "no answer");
    return make("tr", {}, make("td", {}, button), make("td", {}, row.label), make("td", {}, mark, " ", prediction),
      make("td", { className: "number" }, row.score === null ? "" : row.score.toFixed(3)));
  }
}
