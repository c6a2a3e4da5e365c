// A data set: its rows, filtered; one that is clicked is explained, or all that are checked at once.
// Or a run: its explanations, filtered; one that is clicked is opened.
import { call, clickable, make } from "./server.js";

export class Data {
  constructor(about, explain, explainRows, open) {
    this.explain = explain;
    this.open = open;
    this.page = 0;
    this.picked = new Set();                                         // numbers of rows
    this.turn = 0;
    this.section = document.querySelector(".data");
    this.filters = this.section.querySelector(".filters");
    this.renew(about);
    this.section.querySelector(".many").addEventListener("click", () => explainRows([...this.picked]));
    this.section.querySelector(".none").addEventListener("click", () => {
      this.picked.clear();
      this.go(this.page);
    });
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.filters.addEventListener("input", () => this.go(0));
    this.section.querySelector(".before").addEventListener("click", () => this.go(this.page - 1));
    this.section.querySelector(".after").addEventListener("click", () => this.go(this.page + 1));
  }

  // Show the data set that the server has now.
  renew({ data, limits }) {
    this.about = data;
    this.most = limits.rows_at_once;
    this.picked.clear();
    this.section.querySelector("h2").textContent = data.name;
    this.section.querySelector(".together").hidden = Boolean(data.run);
    const { label, prediction } = this.filters.elements;
    for (const [select, names] of [[label, data.labels], [prediction, data.predictions]]) {
      select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((name) => make("option", {}, name)));
      select.closest("label").hidden = !names.length;
    }
    if (!this.section.hidden) this.go(0);
    return this;
  }

  // Check or clear rows, as far as a job takes them.
  pick(numbers, on) {
    for (const number of numbers) {
      if (on && this.picked.size < this.most) this.picked.add(number);
      else this.picked.delete(number);
    }
    this.showPicked();
  }

  showPicked() {
    const { size } = this.picked;
    for (const box of this.section.querySelectorAll("tbody input")) {
      box.checked = this.picked.has(Number(box.value));
      box.disabled = !box.checked && size >= this.most;
    }
    const boxes = [...this.section.querySelectorAll("tbody input")];
    const all = this.section.querySelector("thead input");
    if (all) all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
    const many = this.section.querySelector(".many");
    many.disabled = !size;
    many.textContent = size ? `Explain ${size} row${size > 1 ? "s" : ""}` : "Explain many: check rows";
    this.section.querySelector(".none").hidden = !size;
    this.section.querySelector(".most").hidden = size < this.most;
    this.section.querySelector(".most").textContent = `${this.most} rows are explained at once at most.`;
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
    const { run } = this.about;
    this.section.querySelector(".predicted").textContent = run ? `${count(answer.all)} explanations of ${this.about.model}${all ? "" : `; filters know ${count(answer.predicted)} of them`}`
      : all ? `${count(answer.all)} rows, predicted by ${this.about.model}`
      : `${this.about.model} has predicted ${count(answer.predicted)} of ${count(answer.all)} rows`;
    if (!all && !this.section.hidden) this.later = setTimeout(() => this.go(this.page), 1500);
  }

  draw({ rows }) {
    const classes = this.about.predictions.length > 0;
    const heads = ["Input", classes ? "Label" : "Right answer", classes ? "Prediction" : "Answer", "Score"];
    this.section.querySelector("thead").replaceChildren(make("tr", {}, ...this.about.run ? [] : [make("th", {}, this.pageBox(rows))],
      ...heads.map((head) => make("th", { scope: "col", className: head === "Score" ? "number" : "" }, head))));
    this.section.querySelector("tbody").replaceChildren(...rows.map((row) => this.line(row, classes)));
    this.showPicked();
  }

  pageBox(rows) {
    const box = make("input", { type: "checkbox", "aria-label": "Check all rows of this page" });
    box.addEventListener("change", () => this.pick(rows.map(({ number }) => number), box.checked));
    return box;
  }

  line(row, classes) {
    const texts = Object.values(row.inputs);
    const text = classes ? texts.filter(Boolean).join(" / ") : texts[0];
    const explain = () => (this.about.run ? this.open(row.number) : this.explain({ model: this.about.model, ...row.inputs }));
    const button = make("button", { type: "button", onclick: explain }, text || "(empty)");
    const verdict = row.right === null ? "" : row.right ? "right" : "wrong";
    const mark = verdict ? make("span", { className: verdict, role: "img", "aria-label": verdict }, row.right ? "✓" : "✗") : "";
    const prediction = row.error || row.prediction || (row.prediction === null ? "…" : "no answer");
    const cells = [make("td", { className: "text" }, button), make("td", {}, row.label), make("td", {}, mark, "\u00a0", prediction),
      make("td", { className: "number" }, row.score === null ? "" : row.score.toFixed(3))];
    if (this.about.run) return clickable(make("tr", {}, ...cells), explain);
    const box = make("input", { type: "checkbox", value: row.number, "aria-label": `Check row ${row.number}` });
    box.addEventListener("change", () => this.pick([row.number], box.checked));
    return clickable(make("tr", {}, make("td", { className: "box" }, box), ...cells), explain);
  }
}
