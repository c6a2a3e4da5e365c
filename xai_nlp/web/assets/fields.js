// Fields of a form, made from the descriptions of inputs and options that the task table and the methods give.
export function words(name) { return name.replaceAll("_", " "); }

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The control of a field. An empty one stands for the default.
function controlOf({ kind, required, help, type, choices = [], default: usual, least, most }, suggestions) {
  if (type === "bool") return element("input", { type: "checkbox", checked: usual === true });
  if (type === "str" && choices.length) {
    const others = choices.filter((choice) => choice !== usual);
    return element("select", {}, new Option(usual ? words(usual) : "as usual", ""), ...others.map((one) => new Option(words(one), one)));
  }
  if (kind === "long text") return element("textarea", { rows: required ? 4 : 2, placeholder: help });
  const placeholder = kind ? help : type === "dict" ? '{"steps": 8}' : String(usual ?? "");
  const number = ["int", "float"].includes(type) && !choices.length;
  const input = element("input", { type: number ? "number" : "text", autocomplete: "off", placeholder });
  if (number) Object.assign(input, { step: type === "int" ? 1 : "any", min: least ?? "", max: most ?? "" });
  if (suggestions.length) {
    const list = element("datalist", { id: `list-${Math.random().toString(36).slice(2)}` }, ...suggestions.map((one) => new Option(one)));
    input.setAttribute("list", list.id);
    input.suggestions = list;
  }
  return input;
}

// A field: the element to show, `value()` (undefined for the default) and `set(value)`.
export function makeField(field, { suggestions = [], prefix = "" } = {}) {
  const control = controlOf(field, suggestions);
  const name = words(field.name);
  const title = name[0].toUpperCase() + name.slice(1);
  control.name = prefix + field.name;
  control.setAttribute("aria-label", title);
  const help = field.kind ? "" : field.help.replaceAll("`", "");    // the placeholder of an input says it
  const hint = element("small", { className: "hint", id: `hint-${Math.random().toString(36).slice(2)}` }, help);
  hint.hidden = !help;
  if (help) control.setAttribute("aria-describedby", hint.id);
  const box = control.type === "checkbox";
  const shown = box ? element("label", { className: "check" }, control, element("span", {}, title, hint))
    : element("label", { className: "field" }, element("span", {}, title), control, ...(control.suggestions ? [control.suggestions] : []), hint);
  return {
    field,
    element: shown,
    control,
    value() {
      if (box) return control.checked === (field.default === true) ? undefined : control.checked;
      const text = control.value;
      if (!text.trim()) return undefined;
      return ["int", "float"].includes(field.type) && Number.isFinite(Number(text)) ? Number(text) : text;
    },
    set(value) {
      if (box) control.checked = value ?? field.default === true;
      else control.value = value === undefined || value === null ? "" : Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value;
    },
  };
}
