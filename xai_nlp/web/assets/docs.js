// The routes, from the schema that the server makes of itself.
import { make } from "./server.js";

const schema = await (await fetch("openapi.json")).json();

function parameters(route) {
  const named = (route.parameters ?? []).map(({ name, in: where, required, schema: type }) => make("tr", {},
    make("td", {}, make("code", {}, name)), make("td", {}, where), make("td", {}, kind(type)), make("td", {}, required ? "yes" : "")));
  const body = route.requestBody?.content?.["application/json"]?.schema;
  return [...named, ...(body ? fields(body) : [])];
}

function fields(body) {
  const schemaOf = body.$ref ? schema.components.schemas[body.$ref.split("/").pop()] : body;
  return Object.entries(schemaOf.properties ?? {}).map(([name, type]) => make("tr", {}, make("td", {}, make("code", {}, name)),
    make("td", {}, "body"), make("td", {}, kind(type)), make("td", {}, (schemaOf.required ?? []).includes(name) ? "yes" : "")));
}

function kind(type) {
  if (type.anyOf) return type.anyOf.filter((one) => one.type !== "null").map(kind).join(" or ");
  const bounds = [["maxLength", "letters"], ["maxItems", "of them"]].filter(([name]) => type[name]);
  const most = bounds.map(([name, unit]) => `, at most ${type[name].toLocaleString("en")} ${unit}`).join("");
  return (type.enum ? type.enum.join(", ") : type.type ?? "any") + most;
}

for (const [path, methods] of Object.entries(schema.paths)) {
  for (const [method, route] of Object.entries(methods)) {
    const rows = parameters(route);
    const heads = ["name", "in", "type", "needed"].map((head) => make("th", { scope: "col" }, head));
    const table = rows.length ? make("div", { className: "rows", tabIndex: 0, role: "region", "aria-label": `Parameters of ${method} ${path}` },
      make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))) : "";
    document.querySelector(".routes").append(make("section", { className: "panel route" },
      make("h2", {}, make("span", { className: `verb ${method}` }, method.toUpperCase()), make("code", {}, path)),
      make("p", {}, route.description ?? route.summary), table));
  }
}
document.querySelector(".routes").dataset.ready = "";
