// The page: a form, its jobs, their results, and the history. The address after the # names the results on the screen.
import { Data } from "./data.js";
import { Form } from "./form.js";
import { Results } from "./results.js";
import { Jobs } from "./jobs.js";
import { OpenDialog } from "./open.js";
import { call, fail, make } from "./server.js";
import { drawChange, WhatIf } from "./what_if.js";

const find = (selector) => document.querySelector(selector);
const say = (message) => { find("#status").textContent = message; };

let about = await call("GET", "about").catch((error) => {
  fail(find("#ask-error"), error.message);
  throw error;
});
const jobs = new Jobs(find(".jobs"));
const form = new Form(find("#ask"), about, (request) => send("jobs", request));
const results = new Results(about, say, (request) => {
  form.fill(request);
  find("#ask .primary").focus();
}, (request) => send("jobs", request));
const whatIf = new WhatIf(find(".what-if"), about, (request, before) => send("jobs", request, `what-if:${before},`));
const explain = (inputs) => {
  form.fill(form.withMethod(inputs));
  send("jobs", form.request());
};
const explainRows = (numbers) => send("data", { request: form.requestForRows(about.data.model), numbers });
const openRow = async (number) => {
  try {
    const { id } = await call("POST", "run", { number });
    await results.list();
    location.hash = id;
  } catch (error) {
    fail(find("#history-error"), error.message);
  }
};
let data = about.data && new Data(about, explain, explainRows, openRow);
let latest = {};

// Jobs ---------------------------------------------------------------------------------------------------------------

// Submit a request and go to its result, whose address begins with `prefix`, unless another was submitted since.
async function send(path, request, prefix = "") {
  const turn = latest = {};
  form.say("");
  let job;
  try {
    job = await jobs.submit(path, request);
  } catch (error) {
    form.say(error.message, error.field);
    return;
  }
  if (job.state === "failed" && job.field && turn === latest && form.say(job.error, job.field)) job.card.item.remove();
  if (job.state === "done") await finish(job, turn === latest && prefix);
}

// Show what a job that is done has made. prefix: of its address; false stays where the page is.
async function finish(job, prefix) {
  say(`Done: ${job.title}`);
  if (job.address === "data" || !job.address) await offer(job.title.replace(/^Open /, ""));
  else await results.list();
  if (prefix === false || !job.address) return;
  if (location.hash === `#${prefix}${job.address}`) await route();
  else location.hash = prefix + job.address;
}

// Offer what the server offers now.
async function offer(model) {
  about = await call("GET", "about");
  results.about = whatIf.about = about;
  form.offer(about, model);
  if (about.data) data = data ? data.renew(about) : new Data(about, explain, explainRows, openRow);
  find(".to-data").hidden = !data;
}

const opening = new OpenDialog(find(".open-dialog"), async (path, accepted) => {
  const job = await call("POST", "opened", { path });
  accepted();
  const last = await jobs.track(job);
  if (last.state === "done") await finish(last, "");
});
find(".open-button").hidden = !about.root;
find(".open-button").addEventListener("click", () => opening.show());

// The address --------------------------------------------------------------------------------------------------------

// An address that was not encoded, such as "#%", stays as it is.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function route() {
  const [, change, name] = /^#?(what-if:)?(.*)$/.exec(decoded(location.hash));
  const inData = name === "data" && data;
  for (const [link, on] of [[find(".to-explain"), !inData], [find(".to-data"), inData]]) {
    if (on) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  find(".data").hidden = !inData;
  find(".change").hidden = true;
  fail(find("#history-error"), "");
  if (inData) {
    results.clear();
    find(".welcome").hidden = true;
    data.go(data.page);
  } else if (/^[0-9a-f]{32}(,[0-9a-f]{32})*$/.test(name)) {
    try {
      const ids = name.split(",");
      const entries = await results.show(ids);
      whatIf.show(ids.length === 1 || change ? entries.at(-1) : null);
      if (change && ids.length === 2) await drawChange(find(".change"), ...ids);
      find("#content").focus({ preventScroll: true });
      if (matchMedia("(max-width: 900px)").matches) find(".result").scrollIntoView();
    } catch (error) {
      results.clear();
      fail(find("#history-error"), error.message);
    }
  } else {
    results.clear();
  }
}

// Examples -----------------------------------------------------------------------------------------------------------

find(".examples").append(...about.examples.map((example) => {
  const { task: name } = about.models.find((model) => model.name === example.model);
  const task = about.tasks.find((one) => one.name === name);
  const inputs = task.inputs.filter((input) => example[input.name]);
  const texts = inputs.filter(({ kind }) => kind !== "image").map((input) => example[input.name]);
  const images = inputs.filter(({ kind }) => kind === "image")
    .map((input) => make("img", { src: `data:image/png;base64,${example[input.name]}`, alt: "" }));
  const button = make("button", { type: "button", className: "example" }, make("small", {}, task.title), ...images,
    ...texts.map((text, n) => (n ? make("span", { className: "more" }, text) : text)));
  button.addEventListener("click", () => explain(example));
  return button;
}));
find(".to-data").hidden = !data;
addEventListener("hashchange", route);
await results.list();
await route();
for (const job of await jobs.running()) jobs.track(job).then((last) => (last.state === "done" ? finish(last, false) : null));
find("#ask").dataset.ready = "";
