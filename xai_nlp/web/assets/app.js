// The page: a form, its jobs, their results, and the history. The address after the # names the results on the screen.
import { Data } from "./data.js";
import { Form } from "./form.js";
import { Results } from "./results.js";
import { call, fail, follow, make } from "./server.js";

const find = (selector) => document.querySelector(selector);
const status = find("#status");
const jobs = find(".jobs");
const say = (message) => { status.textContent = message; };

const about = await call("GET", "about").catch((error) => {
  fail(find("#ask-error"), error.message);
  throw error;
});
const form = new Form(find("#ask"), about, send);
const results = new Results(about, say, (request) => {
  form.fill(request);
  find("#ask .primary").focus();
});
const explain = (inputs) => {
  form.fill(form.withMethod(inputs));
  send(form.request());
};
const data = about.data && new Data(about.data, explain);
let latest = "";

// Jobs ---------------------------------------------------------------------------------------------------------------

async function send(request) {
  let job;
  try {
    job = await call("POST", "jobs", request);
  } catch (error) {
    form.say(error.message);
    return;
  }
  latest = job.id;
  const card = jobCard(job);
  jobs.prepend(card.item);
  card.item.scrollIntoView({ block: "nearest" });
  try {
    job = await follow(job.id, card.update);
  } catch (error) {
    job = { ...job, state: "failed", error: error.message };
  }
  card.end(job);
  if (job.state !== "done") return;
  await results.list();
  if (job.id === latest) location.hash = job.id;
}

function jobCard(job) {
  const progress = make("span", { className: "progress" });
  const bar = make("progress", { max: job.of, "aria-label": `Progress of ${job.title}` });
  const button = make("button", { type: "button", className: "quiet" }, "Cancel");
  const item = make("li", { className: "panel job" }, make("b", {}, job.title), progress, bar, button);
  button.addEventListener("click", () => {
    if (item.classList.contains("over")) item.remove();
    else call("DELETE", `jobs/${job.id}`).catch(() => { /* its events say how it ended */ });
  });
  const update = (now) => {
    if (now.done) bar.value = now.done;
    const of = now.of > 1 ? `${now.done} of ${now.of} methods · ` : "";
    progress.textContent = now.state === "queued" ? (now.position > 1 ? `waits, number ${now.position}` : "is next")
      : `${of}${now.passes} passes · ${now.seconds.toFixed(1)} s`;
  };
  const end = (now) => {
    if (now.state === "done") {
      item.remove();
      say(`Explained: ${now.title}`);
      return;
    }
    item.classList.add("over", now.state);
    progress.textContent = now.state === "cancelled" ? "cancelled" : now.error;
    progress.setAttribute("role", "alert");
    bar.remove();
    button.textContent = "Dismiss";
  };
  update(job);
  return { item, update, end };
}

// The address --------------------------------------------------------------------------------------------------------

async function route() {
  const name = decodeURIComponent(location.hash.slice(1));
  const inData = name === "data" && data;
  for (const [link, on] of [[find(".to-explain"), !inData], [find(".to-data"), inData]]) {
    if (on) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  find(".data").hidden = !inData;
  if (inData) {
    results.clear();
    find(".welcome").hidden = true;
    data.go(data.page);
  } else if (/^[0-9a-f]{32}(,[0-9a-f]{32})*$/.test(name)) {
    try {
      await results.show(name.split(","));
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
    texts[0], ...texts.slice(1).map((text) => make("span", { className: "more" }, text)));
  button.addEventListener("click", () => explain(example));
  return button;
}));
find(".to-data").hidden = !data;
addEventListener("hashchange", route);
await results.list();
await route();
find("#ask").dataset.ready = "";
