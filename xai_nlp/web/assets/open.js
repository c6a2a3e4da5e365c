// A dialog that opens a model folder or a data file inside the folder that was allowed at the start.
import { call, fail, make } from "./server.js";

const ACTIONS = { folder: "Look inside", model: "Open this model", data: "Open this data" };

export class OpenDialog {
  // open: called with the path of a model folder or a data file; throws if it is refused.
  constructor(dialog, open) {
    this.dialog = dialog;
    this.open = open;
    this.error = dialog.querySelector(".error");
    this.path = dialog.querySelector("[name=path]");
    dialog.querySelector(".leave").addEventListener("click", () => dialog.close());
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.choose(this.path.value.trim());
    });
  }

  show() {
    this.dialog.showModal();
    this.list("");
  }

  async list(path) {
    fail(this.error, "");
    let folder;
    try {
      folder = await call("GET", `folder?path=${encodeURIComponent(path)}`);
    } catch (error) {
      fail(this.error, error.message);
      return;
    }
    const { entries, above, left_out: more } = folder;
    this.dialog.querySelector(".here").textContent = folder.path === "." ? folder.root : `${folder.root}/${folder.path}`;
    const up = above === null ? [] : [{ name: "..", path: above, kind: "folder" }];
    this.dialog.querySelector(".places").replaceChildren(...[...up, ...entries].map((entry) => this.item(entry)),
      ...(entries.length ? [] : [make("li", { className: "hint" }, "No folder, model or data file is here.")]),
      ...(more ? [make("li", { className: "hint" }, `${more} more are not listed; type the path.`)] : []));
  }

  item({ name, path, kind }) {
    const act = () => (kind === "folder" ? this.list(path) : this.choose(path));
    return make("li", {}, make("button", { type: "button", onclick: act, title: name === ".." ? "The folder above" : ACTIONS[kind] },
      make("span", { className: "what" }, name), make("small", {}, kind)));
  }

  async choose(path) {
    fail(this.error, "");
    try {
      await this.open(path || ".", () => this.dialog.close());
    } catch (error) {
      fail(this.error, error.message);
      this.path.focus();
    }
  }
}
