// A form over the page's own drawing. Its request goes to the widget's model; the HTML that comes back is shown.
function select(name, names, chosen) {
  const control = element("select", { name }, ...names.map((one) => new Option(words(one), one, false, one === chosen)));
  control.setAttribute("aria-label", words(name));
  return { control, label: element("label", {}, element("span", {}, words(name)), " ", control) };
}

function renderInsights({ model, el }) {
  const { methods, options, targets, contrasts, several, inputs, classes, judged } = model.get("choices");
  const settings = model.get("settings");
  const root = element("div", { className: "xai-nlp insights" });
  root.dataset.live = "";                                  // nothing here to be enriched
  const form = element("form", { className: "controls ask" });
  form.setAttribute("aria-label", "What is explained");
  const readout = element("p", { className: "readout" });
  readout.setAttribute("role", "status");
  const drawing = element("div", {});
  root.append(form, readout);
  el.append(root, drawing);
  const key = model.get("key");
  if (key) {                                               // hide the HTML that stays for readers without a kernel
    el.append(element("style", { textContent: `[data-xai-nlp-static="${key}"]{display:none}` }));
  }

  const method = select("method", Object.keys(methods), settings.method);
  const target = select("target", targets, settings.target);
  const other = select("rather than", ["", ...contrasts], settings.rather_than);
  other.control.options[0].textContent = "–";
  const prediction = select("answers", ["all", "correct", "incorrect"], settings.prediction);
  const predicted = select("predicted", ["", ...classes], settings.classes[0] ?? "");
  predicted.control.options[0].textContent = "all";
  const count = element("input", { type: "number", min: 1, max: 100, value: settings.examples });
  count.setAttribute("aria-label", "examples");
  const go = element("button", { type: "submit", className: "save", textContent: "Explain" });
  const more = element("button", { type: "button", className: "save more", textContent: "Other examples" });
  const fold = (title) => {
    const grid = element("div", { className: "fields" });
    return { grid, box: element("details", {}, element("summary", {}, title), grid) };
  };
  const own = fold("Options of the method");
  const side = fold("Methods beside it");
  const text = fold("Your own text");
  const others = fold("More options");
  form.append(method.label);
  if (targets.length > 1) form.append(target.label);
  if (contrasts.length) form.append(other.label);
  if (judged) form.append(prediction.label);
  if (classes.length) form.append(predicted.label);
  form.append(element("label", {}, element("span", {}, "examples"), " ", count), go, more, text.box, own.box, side.box, others.box);

  const fieldsOf = (described) => described.map((one) => {
    const field = makeField(one);
    field.set(settings.arguments[one.name]);
    return field;
  });
  const taskFields = fieldsOf(options);
  let methodFields = [];
  others.grid.append(...taskFields.map((field) => field.element));
  others.box.hidden = !options.length;
  const boxes = Object.keys(methods).map((name) => {
    const box = element("input", { type: "checkbox", value: name, checked: settings.beside.includes(name) });
    side.grid.append(element("label", { className: "check" }, box, words(name)));
    return box;
  });
  side.box.hidden = !several;
  const ownFields = inputs.map((one) => makeField({ ...one, required: false }));
  const explainOwn = element("button", { type: "button", className: "save own", textContent: "Explain this" });
  text.grid.append(...ownFields.map((field) => field.element), explainOwn);
  text.box.hidden = !inputs.length;
  const fill = () => {
    methodFields = fieldsOf(methods[method.control.value]);
    own.grid.replaceChildren(...methodFields.map((field) => field.element));
    own.box.hidden = !methodFields.length;
  };
  const request = (next, example = {}) => {
    const values = [...taskFields, ...methodFields].map((field) => [field.field.name, field.value()]);
    settings.arguments = Object.fromEntries(values.filter(([, value]) => value !== undefined));
    model.set("request", {
      method: method.control.value, arguments: settings.arguments, target: target.control.value,
      rather_than: other.control.value, beside: boxes.filter((box) => box.checked).map((box) => box.value), own: example,
      prediction: prediction.control.value, classes: predicted.control.value ? [predicted.control.value] : [],
      examples: Number(count.value), more: next, time: Date.now(),
    });
    model.save_changes();
  };
  const filters = () => [prediction.control.value, predicted.control.value, count.value].join("\n");
  let before = filters();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const changed = filters() !== before;                  // other filters accept other examples
    before = filters();
    request(changed);
  });
  more.addEventListener("click", () => request(true));
  method.control.addEventListener("change", () => { fill(); request(false); });
  target.control.addEventListener("change", () => request(false));
  other.control.addEventListener("change", () => request(false));
  explainOwn.addEventListener("click", () => {
    request(false, Object.fromEntries(ownFields.map((field) => [field.field.name, field.value() ?? ""])));
  });

  const draw = () => {
    drawing.innerHTML = model.get("html");                 // our own templates wrote it, and escaped the texts
    drawing.querySelectorAll(".xai-nlp").forEach(enrich);
  };
  const report = () => {
    const busy = Boolean(model.get("busy"));
    const problem = model.get("problem") || "";
    root.toggleAttribute("aria-busy", busy);
    for (const button of [go, more, explainOwn]) button.disabled = busy;
    readout.textContent = problem || (busy ? "Explaining …" : "");
    readout.classList.toggle("problem", Boolean(problem));
  };
  fill();
  draw();
  report();
  const listeners = [["change:html", draw], ["change:busy", report], ["change:problem", report]];
  for (const [event, listener] of listeners) model.on(event, listener);
  return () => { for (const [event, listener] of listeners) model.off(event, listener); };
}

export default { render: renderInsights };
