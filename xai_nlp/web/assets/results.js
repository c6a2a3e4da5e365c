// Results, rendered by the frontend of the exported pages; and the history.
import { enrich } from "./enrich.js";
import { words } from "./fields.js";
import { address, call, clickable, fail, make } from "./server.js";

const KINDS = { html: "HTML", json: "JSON", png: "PNG", csv: "CSV" };

export class Results {
  constructor(about, say, again, check) {
    this.about = about;
    this.say = say;
    this.again = again;
    this.check = check;
    this.shown = [];                                                 // ids
    this.picked = new Set();
    this.listed = 0;
    const find = (selector) => document.querySelector(selector);
    this.place = { result: find(".result"), drawing: find(".drawing"), welcome: find(".welcome"), name: find(".result .name"),
      entries: find(".entries"), nothing: find(".nothing"), search: find("#history-search"), error: find("#history-error"),
      compare: find(".compare"), saves: find(".saves"), rename: find(".rename"), again: find(".again"), trust: find(".check-trust"), dialog: find("dialog.naming") };
    this.wire();
  }

  wire() {
    const { place } = this;
    place.search.addEventListener("input", () => this.list());
    place.compare.addEventListener("click", () => { location.hash = [...this.picked].join(","); });
    place.rename.addEventListener("click", () => this.rename());
    place.again.addEventListener("click", async () => this.again((await call("GET", `history/${this.shown[0]}`)).request));
    place.trust.addEventListener("click", async () => {
      const { request } = await call("GET", `history/${this.shown[0]}`);
      this.check({ ...request, trust: place.trust.value });
    });
    place.dialog.querySelector(".leave").addEventListener("click", () => place.dialog.close(""));
    document.querySelector(".remove").addEventListener("click", () => this.remove());
    const file = document.querySelector("[name=saved]");
    file.addEventListener("change", () => this.open(file));
  }

  // One, or several on one page --------------------------------------------------------------------------------------

  async show(ids) {
    const [html, entries] = await Promise.all([call("GET", `shown/${ids.join(",")}`),
      Promise.all(ids.map((id) => call("GET", `history/${id}`)))]);
    const drawing = new DOMParser().parseFromString(html, "text/html").querySelector(".xai-nlp");
    this.shown = ids;
    const { place } = this;
    place.drawing.replaceChildren(document.adoptNode(drawing));
    enrich(drawing);
    place.name.textContent = entries.map((entry) => entry.name).join(" · ");
    place.rename.hidden = ids.length > 1;
    place.again.hidden = ids.length > 1 || !this.hasInputs(entries[0]);
    this.offerTrust(ids.length === 1 ? entries[0] : null);
    place.saves.replaceChildren(...Object.entries(KINDS).map(([kind, name]) => make("a",
      { href: address(`files/${ids.join(",")}.${kind}`), download: "", className: "quiet", "aria-label": `Save as ${name}` }, name)));
    place.result.dataset.shown = ids.join(",");
    place.result.hidden = false;
    place.welcome.hidden = true;
    this.mark();
    return entries;
  }

  // Offer a verdict, or a fuller one, on an entry whose whole request is remembered; images are not.
  offerTrust(entry) {
    const { trust } = this.place;
    const inputs = this.about.tasks.find(({ name }) => name === entry?.task)?.inputs ?? [];
    const whole = inputs.length && inputs.every(({ name, required }) => !required || entry.request?.[name]);
    trust.hidden = !whole || entry.request.trust === "full";
    trust.value = entry?.request?.trust ? "full" : "quick";
    trust.textContent = trust.value === "full" ? "Check in full" : "How far to trust it";
  }

  // Can the entry's request be put into the form? Entries of files have none, those of rows have no inputs.
  hasInputs({ request, task }) {
    const inputs = this.about.tasks.find(({ name }) => name === task)?.inputs ?? [];
    return Boolean(request) && inputs.some(({ name }) => request[name]);
  }

  clear() {
    this.shown = [];
    this.place.result.hidden = true;
    this.place.drawing.replaceChildren();
    this.place.welcome.hidden = false;
    this.mark();
  }

  mark() {
    for (const button of this.place.entries.querySelectorAll("button")) {
      if (this.shown.includes(button.value)) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  // History ----------------------------------------------------------------------------------------------------------

  async list() {
    const turn = ++this.listed;
    const search = this.place.search.value;
    const entries = await call("GET", `history?search=${encodeURIComponent(search.slice(0, 200))}`);
    if (turn !== this.listed) return;                                // a later one is on its way
    this.place.entries.replaceChildren(...entries.map((entry) => this.item(entry)));
    this.place.nothing.hidden = entries.length > 0;
    this.place.nothing.textContent = search ? "Nothing in the history matches."
      : "Nothing here yet. What you explain stays here, also after a restart.";
    this.picked = new Set([...this.picked].filter((id) => search || entries.some((entry) => entry.id === id)));
    this.pick();
    this.mark();
  }

  item(entry) {
    const box = make("input", { type: "checkbox", checked: this.picked.has(entry.id), "aria-label": `Compare ${entry.name}` });
    box.addEventListener("change", () => {
      this.picked[box.checked ? "add" : "delete"](entry.id);
      this.pick();
    });
    const when = new Date(entry.created * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
    const target = entry.target && `target ${entry.target}`;
    const meta = [entry.prediction, target, words(entry.methods), entry.options, entry.model, when].filter(Boolean).join(" · ");
    const show = () => { location.hash = entry.id; };
    return clickable(make("li", {}, box, make("button", { type: "button", value: entry.id, onclick: show },
      make("span", { className: "what" }, entry.name), make("small", {}, meta))), show);
  }

  pick() {
    const { size } = this.picked;
    this.place.compare.disabled = size < 2 || size > this.about.limits.compared;
    this.place.compare.textContent = size < 2 ? "Compare: check two or more" : `Compare ${size}`;
  }

  async open(file) {
    fail(this.place.error, "");
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      const entry = await call("POST", `history?name=${encodeURIComponent(chosen.name.replace(/\.json$/, "").slice(0, 80))}`,
        await chosen.text());
      await this.list();
      location.hash = entry.id;
    } catch (error) {
      fail(this.place.error, error.message);
    }
    file.value = "";
  }

  // Names and ends ---------------------------------------------------------------------------------------------------

  async rename() {
    const name = await this.dialog({ title: "Rename", note: "", button: "Rename", name: this.place.name.textContent });
    if (!name?.trim()) return;
    await call("PATCH", `history/${this.shown[0]}`, { name: name.slice(0, this.about.limits.words) });
    await this.show(this.shown);
    await this.list();
    this.say("Renamed.");
  }

  async remove() {
    const count = this.shown.length;
    const title = count > 1 ? `Delete these ${count}?` : "Delete this explanation?";
    if (await this.dialog({ title, note: "It leaves the history for good.", button: "Delete" }) === null) return;
    for (const id of this.shown) {
      await call("DELETE", `history/${id}`);
      this.picked.delete(id);
    }
    location.hash = "";
    await this.list();
    this.say("Deleted.");
  }

  // The text of the dialog; null if it was cancelled.
  dialog({ title, note, button, name }) {
    const { dialog } = this.place;
    const { name: input } = dialog.querySelector("form").elements;
    dialog.querySelector("h2").textContent = title;
    dialog.querySelector(".note").textContent = note;
    dialog.querySelector(".note").hidden = !note;
    dialog.querySelector(".primary").textContent = button;
    input.closest("label").hidden = name === undefined;
    input.value = name ?? "";
    dialog.returnValue = "";
    dialog.showModal();
    if (name !== undefined) input.select();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue ? input.value : null), { once: true });
    });
  }
}
