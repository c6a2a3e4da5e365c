// The form: a task's inputs and options, the methods and their options, as the server describes them.
import { makeField, words } from "./fields.js";
import { fail, make } from "./server.js";

const FIRST = ["integrated_gradients", "occlusion", "shapley", "attention_integrated_gradients", "lime", "lrp"];
const UNFOLDED = ["target", "baseline"];                             // options beside the inputs; the others are folded

export class Form {
  constructor(form, about, send) {
    this.form = form;
    this.about = about;
    this.fields = new Map();                                         // inputs and options of the task, by name
    this.options = new Map();                                        // options of the method, by name
    this.error = form.querySelector("#ask-error");
    this.listMethods();
    this.listTasks();
    this.find(".recommended").addEventListener("click", () => this.choose([about.recommended]));
    form.elements.model.addEventListener("change", () => this.showModel());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say("");
      send(this.request());
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  }

  // Show an error at its field, or above the button if the form has no such field; "" clears all errors.
  say(message, field = "") {
    for (const old of this.form.querySelectorAll(".at-field")) old.remove();
    for (const control of this.form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
    const place = message && this.placeOf(field);
    fail(this.error, place ? "" : message);
    if (!place) return false;
    const control = place.querySelector("input, textarea, select, summary") ?? place;
    place.append(make("span", { className: "error at-field", role: "alert" }, message));
    for (let one = place.parentElement.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
    control.setAttribute("aria-invalid", "true");
    control.focus();
    control.addEventListener("input", () => this.say(""), { once: true });
    return true;
  }

  placeOf(field) {
    const own = this.fields.get(field) ?? this.options.get(field.replace(/^options\./, ""));
    return own?.element ?? { model: this.form.elements.model.closest("label"), method: this.find(".methods fieldset") }[field];
  }

  find(selector) { return this.form.querySelector(selector); }

  // Task and model ---------------------------------------------------------------------------------------------------

  listTasks() {
    this.find(".segments").replaceChildren(...this.about.tasks.map(({ name, title, help }) => make("label", { title: help },
      make("input", { type: "radio", name: "task", value: name, onchange: () => this.showTask() }), make("span", {}, title))));
    this.form.elements.task.value = this.about.tasks[0].name;
    this.showTask();
  }

  // Offer what the server offers now; `model` is chosen if it is new.
  offer(about, model) {
    const request = this.request();
    this.about = about;
    this.listTasks();
    this.fill(about.models.some(({ name }) => name === model) ? { ...request, model } : request);
  }

  showTask() {
    const task = this.form.elements.task.value;
    const models = this.about.models.filter((model) => model.task === task);
    this.form.elements.model.replaceChildren(...models.map(({ name }) => make("option", {}, name)));
    this.showModel();
  }

  // The fields of the model's task; inputs that another task has too keep their text.
  showModel() {
    const model = this.about.models.find(({ name }) => name === this.form.elements.model.value);
    const task = this.about.tasks.find(({ name }) => name === model.task);
    const before = this.fields;
    this.find("#model-about").textContent = model.about;
    const suggestions = { target: model.labels, baseline: this.about.baselines };
    const inputs = task.inputs.map((one) => (one.kind === "image" ? new ImageField(one, this) : makeField(one)));
    const options = task.options.map((one) => makeField(one, { suggestions: suggestions[one.name] }));
    this.fields = new Map([...inputs, ...options].map((one) => [one.field.name, one]));
    for (const { field, set } of inputs) if (before.has(field.name)) set(before.get(field.name).value());
    const unfolded = options.filter(({ field }) => UNFOLDED.includes(field.name));
    const folded = [...inputs.filter(({ field }) => !field.required), ...options.filter((one) => !unfolded.includes(one))]
      .sort((one, other) => Boolean(one.field.advanced) - Boolean(other.field.advanced));
    const switches = folded.filter(({ control }) => control?.type === "checkbox");
    const put = (selector, fields) => this.find(selector).replaceChildren(...fields.map(({ element }) => element));
    put(".inputs", inputs.filter(({ field }) => field.required));
    put(".unfolded", unfolded);
    put(".more-options .pair-of-fields", folded.filter((one) => !switches.includes(one)));
    put(".more-options .switches", switches);
    this.limitMethods(model.methods);
  }

  // Methods ----------------------------------------------------------------------------------------------------------

  listMethods() {
    const known = new Map(this.about.methods.map((method) => [method.name, method]));
    const first = FIRST.filter((name) => known.has(name));
    const order = [...first, ...[...known.keys()].filter((name) => !first.includes(name))];
    this.find(".checks").append(...order.map((name) => {
      const box = make("input", { type: "checkbox", name: "method", value: name, checked: name === FIRST[0] });
      box.addEventListener("change", () => this.showMethods());
      const { help, complete } = known.get(name);
      return make("label", { className: "check" }, box, make("span", {}, words(name),
        name === this.about.recommended ? make("em", { className: "best" }, "recommended") : "", complete ? make("em", {}, "adds up") : "", make("small", {}, help)));
    }));
    this.showMethods();
  }

  // Only the methods that the model takes can be chosen.
  limitMethods(methods) {
    for (const box of this.form.querySelectorAll("[name=method]")) {
      box.closest("label").hidden = !methods.includes(box.value);
      box.checked = box.checked && methods.includes(box.value);
    }
    this.choose(this.picked.length ? this.picked : [this.about.recommended], values(this.options));
  }

  choose(methods, options) {
    for (const box of this.form.querySelectorAll("[name=method]")) box.checked = methods.includes(box.value);
    this.showMethods(options);
  }

  get picked() {
    return [...this.form.querySelectorAll("[name=method]:checked")].map((box) => box.value);
  }

  // The methods that are checked, and the options of a single one.
  showMethods(values = {}) {
    const { picked } = this;
    const many = picked.length >= this.about.limits.methods;
    for (const box of this.form.querySelectorAll("[name=method]:not(:checked)")) box.disabled = many;
    this.find(".chosen").textContent = picked.map(words).join(", ") || "none chosen";
    const options = picked.length === 1 ? this.about.methods.find(({ name }) => name === picked[0]).options : [];
    const fields = options.map((one) => makeField(one, { prefix: "options." }));
    for (const { field, set } of fields) set(values[field.name]);
    this.options = new Map(fields.map((one) => [one.field.name, one]));
    this.find(".method-options .pair-of-fields").replaceChildren(...fields.map(({ element }) => element));
    this.find(".method-options").hidden = !fields.length;
    this.find(".one-method").hidden = picked.length < 2;
    this.find(".recommended").hidden = picked.join() === this.about.recommended;
    this.find(".recommended").textContent = `Use ${words(this.about.recommended)}, the recommended one`;
  }

  // Requests ---------------------------------------------------------------------------------------------------------

  // These inputs with the methods that are chosen, and their options.
  withMethod(inputs) { return { ...inputs, method: this.picked, options: values(this.options) }; }

  request() {
    const { options, ...request } = this.withMethod({ model: this.form.elements.model.value, ...values(this.fields) });
    return Object.keys(options).length ? { ...request, options } : request;
  }

  // The options for rows of a data set: those of the form if it shows this model, else the methods alone.
  requestForRows(model) {
    const { options, ...request } = this.withMethod({ model });
    const shown = this.form.elements.model.value === model ? values([...this.fields].filter(([, one]) => "type" in one.field)) : {};
    return { ...shown, ...request, ...(Object.keys(options).length ? { options } : {}) };
  }

  // Put a request into the form, to send it or to change it.
  fill(request) {
    const { elements } = this.form;
    const model = this.about.models.find(({ name }) => name === request.model) ?? this.about.models[0];
    elements.task.value = model.task;
    this.showTask();
    elements.model.value = model.name;
    this.showModel();
    for (const [name, { set }] of this.fields) set(request[name]);
    if (request.method) {
      this.choose([request.method].flat(), request.options);
    }
    this.say("");
  }
}

function values(fields) {
  const all = [...fields].map(([name, field]) => [name, field.value()]);
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}

// An image: chosen or dropped, held as base64.
class ImageField {
  constructor(field, form) {
    this.field = field;
    this.form = form;
    this.input = make("input", { type: "file", name: "file", accept: "image/png,image/jpeg,image/webp,image/gif,image/bmp", "aria-label": words(field.name) });
    this.shown = make("img", { alt: "", hidden: true });
    this.text = make("span", { className: "drop-text" });
    this.zone = make("label", { className: "drop" }, this.input, this.shown, this.text);
    this.element = make("div", { className: "field" }, this.zone);
    this.value = () => this.image;
    this.set = (image) => this.show(image, "");
    this.listen();
    this.show(undefined, "");
  }

  listen() {
    this.input.addEventListener("change", () => this.read(this.input.files[0]));
    this.zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.zone.classList.add("over");
    });
    this.zone.addEventListener("dragleave", () => this.zone.classList.remove("over"));
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.zone.classList.remove("over");
      this.read(event.dataTransfer.files[0]);
    });
  }

  read(file) {
    if (!file) return;
    this.form.say("");
    const most = this.form.about.limits.image;
    if (file.size > most) {
      this.form.say(`That image has ${file.size.toLocaleString("en")} bytes; at most ${most.toLocaleString("en")} are read.`);
      return;
    }
    const reader = new FileReader();
    reader.onload = () => this.show(reader.result.slice(reader.result.indexOf(",") + 1), file.name);
    reader.onerror = () => this.form.say("That file cannot be read.");
    reader.readAsDataURL(file);
  }

  show(image, name) {
    this.image = image ?? undefined;
    this.shown.hidden = !image;
    this.shown.alt = image ? "The image of the question" : "";
    this.text.replaceChildren(...(image ? [name || "another image"] : [make("b", {}, "Drop an image"), ", or choose one"]));
    if (image) {
      const kind = { i: "png", "/": "jpeg", R: "gif", U: "webp", Q: "bmp" }[image[0]] ?? "png";
      this.shown.src = `data:image/${kind};base64,${image}`;
    } else {
      this.shown.removeAttribute("src");
      this.input.value = "";
    }
  }
}
