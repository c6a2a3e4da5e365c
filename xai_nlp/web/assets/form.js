// The form: what is explained, by which model and method. Fields come and go with the task.
import { fail, make, words } from "./server.js";

const TASKS = {
  "text-classification": { name: "Text", shows: ["text", "pair"] },
  "question-answering": { name: "Question", shows: ["question", "context", "answer", "rather_than"] },
  "visual-question-answering": {
    name: "Image", shows: ["image", "question", "answer", "rather_than", "regions", "image_baseline", "moves"],
  },
  "text-generation": { name: "Prompt", shows: ["prompt", "answer", "rather_than"] },
};
const TARGETS = { "question-answering": ["span", "start", "end"], "text-generation": ["answer", "words"] };
const HINTS = {
  "question-answering": "start, end, or span: both",
  "text-generation": "the answer, or its words",
};
const FIRST = ["integrated_gradients", "occlusion", "shapley", "attention_integrated_gradients", "lime", "lrp"];
const TEXTS = ["text", "pair", "question", "context", "prompt", "answer", "rather_than", "target", "baseline", "unit",
  "regions", "image_baseline", "moves"];

export class Form {
  constructor(form, about, send) {
    this.form = form;
    this.about = about;
    this.image = null;                                               // base64
    this.error = form.querySelector("#ask-error");
    this.tasks();
    this.methods();
    this.drops();
    form.querySelector("#baselines").append(...about.baselines.map((value) => make("option", { value })));
    form.elements.model.addEventListener("change", () => this.model());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say("");
      send(this.ask());
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  }

  say(message) { fail(this.error, message); }

  // Task and model ---------------------------------------------------------------------------------------------------

  tasks() {
    const offered = Object.keys(TASKS).filter((task) => this.about.models.some((model) => model.task === task));
    this.form.querySelector(".tasks").append(...offered.map((task) => make("label", {},
      make("input", { type: "radio", name: "task", value: task, onchange: () => {
        this.form.elements.target.value = "";                        // another task has other targets
        this.task();
      } }),
      make("span", {}, TASKS[task].name))));
    this.form.elements.task.value = offered[0];
    this.task();
  }

  task() {
    const task = this.form.elements.task.value;
    for (const field of this.form.querySelectorAll("[data-input]")) {
      field.hidden = !TASKS[task].shows.includes(field.dataset.input);
    }
    const offered = this.about.models.filter((model) => model.task === task);
    this.form.elements.model.replaceChildren(...offered.map(({ name }) => make("option", {}, name)));
    this.model();
  }

  model() {
    const { task, labels, about } = this.about.models.find(({ name }) => name === this.form.elements.model.value);
    this.form.querySelector("#model-about").textContent = about;
    const targets = TARGETS[task] ?? labels;
    this.form.querySelector("#targets").replaceChildren(...targets.map((value) => make("option", { value })));
    this.form.elements.target.placeholder = TARGETS[task]?.[0] ?? "the prediction";
    this.form.querySelector("#target-hint").textContent = HINTS[task] ?? "a label, or one-another";
  }

  // Methods ----------------------------------------------------------------------------------------------------------

  methods() {
    const known = new Map(this.about.methods.map((method) => [method.name, method]));
    const first = FIRST.filter((name) => known.has(name));
    const order = [...first, ...[...known.keys()].filter((name) => !first.includes(name))];
    this.form.querySelector(".checks").append(...order.map((name) => {
      const box = make("input", { type: "checkbox", name: "method", value: name, checked: name === FIRST[0] });
      box.addEventListener("change", () => this.chosen());
      const { about, complete } = known.get(name);
      return make("label", { className: "check" }, box, make("span", {}, words(name),
        complete ? make("em", {}, "adds up") : "", make("small", {}, about)));
    }));
    this.chosen();
  }

  get picked() {
    return [...this.form.querySelectorAll("[name=method]:checked")].map((box) => box.value);
  }

  chosen() {
    const { picked } = this;
    const many = picked.length >= this.about.limits.methods;
    for (const box of this.form.querySelectorAll("[name=method]:not(:checked)")) box.disabled = many;
    this.form.querySelector(".chosen").textContent = picked.map(words).join(", ") || "none chosen";
  }

  // Image ------------------------------------------------------------------------------------------------------------

  drops() {
    const zone = this.form.querySelector(".drop");
    const take = (file) => { if (file) this.read(file); };
    this.form.elements.file.addEventListener("change", (event) => take(event.target.files[0]));
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      take(event.dataTransfer.files[0]);
    });
  }

  read(file) {
    this.say("");
    if (file.size > this.about.limits.image) {
      this.say(`That image has ${file.size.toLocaleString("en")} bytes; at most ${this.about.limits.image.toLocaleString("en")} are read.`);
      return;
    }
    const reader = new FileReader();
    reader.onload = () => this.look(reader.result.slice(reader.result.indexOf(",") + 1), file.name);
    reader.onerror = () => this.say("That file cannot be read.");
    reader.readAsDataURL(file);
  }

  look(image, name) {
    const [shown, text] = this.form.querySelectorAll(".drop img, .drop .drop-text");
    this.image = image;
    shown.hidden = !image;
    shown.alt = image ? "The image that is asked about" : "";
    text.replaceChildren(...(image ? [name || "another image"] : [make("b", {}, "Drop an image"), ", or choose one"]));
    if (image) {
      const kind = { i: "png", "/": "jpeg", R: "gif", U: "webp", Q: "bmp" }[image[0]] ?? "png";
      shown.src = `data:image/${kind};base64,${image}`;
    } else {
      shown.removeAttribute("src");
      this.form.elements.file.value = "";
    }
  }

  // What is asked ----------------------------------------------------------------------------------------------------

  ask() {
    const { elements } = this.form;
    const shows = TASKS[elements.task.value].shows;
    const asked = { model: elements.model.value, methods: this.picked };
    for (const name of TEXTS) {
      const hidden = elements[name].closest("[data-input]") && !shows.includes(name);
      if (!hidden && elements[name].value.trim()) asked[name] = elements[name].value;
    }
    if (shows.includes("image") && this.image) asked.image = this.image;
    for (const name of ["layers", "attention"]) if (elements[name].checked) asked[name] = true;
    return asked;
  }

  // Put an ask into the form, to send it or to change it.
  fill(asked) {
    const { elements } = this.form;
    const model = this.about.models.find(({ name }) => name === asked.model) ?? this.about.models[0];
    elements.task.value = model.task;
    this.task();
    elements.model.value = model.name;
    this.model();
    for (const name of TEXTS) elements[name].value = asked[name] ?? "";
    for (const name of ["layers", "attention"]) elements[name].checked = Boolean(asked[name]);
    if (asked.methods) {
      for (const box of this.form.querySelectorAll("[name=method]")) box.checked = asked.methods.includes(box.value);
      this.chosen();
    }
    this.look(asked.image ?? null, "");
    this.say("");
  }
}
