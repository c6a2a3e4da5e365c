// A form over the page's own drawing: what is chosen goes to whoever computes, what comes back is drawn.
function field(name, control) {
  const label = document.createElement("label");
  control.setAttribute("aria-label", name.replaceAll("_", " "));
  label.append(Object.assign(document.createElement("span"), { textContent: name.replaceAll("_", " ") }), " ", control);
  return label;
}

function options(names, chosen) {
  const select = document.createElement("select");
  for (const name of names) {
    select.append(Object.assign(document.createElement("option"), {
      value: name, textContent: name.replaceAll("_", " "), selected: name === chosen,
    }));
  }
  return select;
}

function argument({ type, value, limit }) {
  if (type === "enum") return options(limit, value);
  const input = Object.assign(document.createElement("input"), { type: type === "number" ? "number" : "text", value });
  if (type === "number") [input.min, input.max] = limit.map((one) => one ?? "");
  return input;
}

function renderInsights({ model, el }) {
  const root = document.createElement("div");
  root.className = "xai-nlp insights";
  root.dataset.live = "";                                  // nothing here to be enriched
  const form = document.createElement("form");
  form.className = "controls ask";
  form.setAttribute("aria-label", "What is explained");
  const readout = Object.assign(document.createElement("p"), { className: "readout" });
  readout.setAttribute("role", "status");
  const drawn = document.createElement("div");
  root.append(form, readout);
  el.append(root, drawn);
  const key = model.get("key");
  if (key) {                                               // where this runs, what is kept for where it does not is hidden
    const hidden = document.createElement("style");
    hidden.textContent = `[data-xai-nlp-kept="${key}"]{display:none}`;
    el.append(hidden);
  }

  const { methods, targets, classes, judged } = model.get("choices");
  const settings = model.get("settings");
  const method = options(Object.keys(methods), settings.method);
  const target = options(targets, settings.target);
  const which = options(["all", "correct", "incorrect"], settings.prediction);
  const only_class = options(["", ...classes], settings.classes[0] ?? "");
  only_class.options[0].textContent = "all";
  const count = Object.assign(document.createElement("input"), { type: "number", min: 1, max: 100, value: settings.examples });
  const args = document.createElement("span");
  args.className = "arguments";
  const go = Object.assign(document.createElement("button"), { type: "submit", className: "save", textContent: "Explain" });
  const more = Object.assign(document.createElement("button"), { type: "button", className: "save more", textContent: "Other examples" });
  form.append(field("method", method), args);
  if (targets.length > 1) form.append(field("target", target));
  if (judged) form.append(field("answers", which));
  if (classes.length) form.append(field("predicted", only_class));
  form.append(field("examples", count), go, more);

  const fill = () => {
    args.replaceChildren(...Object.entries(methods[method.value]).map(([name, config]) => {
      const control = argument(method.value === settings.method && name in settings.arguments
        ? { ...config, value: settings.arguments[name] } : config);
      control.name = name;
      return field(name, control);
    }));
  };
  const ask = (next) => {
    const given = {};
    for (const control of args.querySelectorAll("[name]")) {
      const { type, value } = methods[method.value][control.name];
      if (String(control.value) !== String(value)) given[control.name] = type === "number" ? Number(control.value) : control.value;
    }
    model.set("asked", {
      method: method.value, arguments: given, target: target.value, prediction: which.value,
      classes: only_class.value ? [only_class.value] : [], examples: Number(count.value), more: next, time: Date.now(),
    });
    model.save_changes();
  };
  const filters = [which.value, only_class.value, count.value];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const now = [which.value, only_class.value, count.value];
    const other = now.some((value, at) => value !== filters[at]);
    filters.splice(0, 3, ...now);
    ask(other);                                            // other filters find other examples
  });
  more.addEventListener("click", () => ask(true));
  method.addEventListener("change", () => { fill(); ask(false); });
  target.addEventListener("change", () => ask(false));

  const draw = () => {
    drawn.innerHTML = model.get("html");                   // our own templates wrote it, and escaped what is not ours
    drawn.querySelectorAll(".xai-nlp").forEach(enrich);
  };
  const tell = () => {
    const busy = model.get("busy");
    root.toggleAttribute("aria-busy", Boolean(busy));
    for (const button of [go, more]) button.disabled = Boolean(busy);
    readout.textContent = model.get("problem") || (busy ? "Explaining …" : "");
    readout.classList.toggle("problem", Boolean(model.get("problem")));
  };
  fill();
  draw();
  tell();
  const heard = [["change:html", draw], ["change:busy", tell], ["change:problem", tell]];
  for (const [event, hear] of heard) model.on(event, hear);
  return () => { for (const [event, hear] of heard) model.off(event, hear); };
}

export default { render: renderInsights };
