// The page: a form, jobs on their way, what they found, and the history. What is shown is in the address after the #.
import { Data } from "./data.js";
import { Form } from "./form.js";
import { Results } from "./results.js";
import { call, fail, follow, make } from "./server.js";

const find = (selector) => document.querySelector(selector);
const status = find("#said");
const jobs = find(".jobs");
const say = (message) => { status.textContent = message; };

const about = await call("GET", "about").catch((error) => {
  fail(find("#ask-error"), error.message);
  throw error;
});
const form = new Form(find("#ask"), about, send);
const results = new Results(about, say, (asked) => {
  form.fill(asked);
  find("#ask .primary").focus();
});
const data = about.data && new Data(about.data, (asked) => {
  form.fill({ ...asked, methods: form.picked });
  send(form.ask());
});
let latest = "";

// Jobs ---------------------------------------------------------------------------------------------------------------

async function send(asked) {
  let job;
  try {
    job = await call("POST", "jobs", asked);
  } catch (error) {
    form.say(error.message);
    return;
  }
  latest = job.id;
  const card = jobCard(job);
  jobs.prepend(card.item);
  card.item.scrollIntoView({ block: "nearest" });
  try {
    job = await follow(job.id, card.tell);
  } catch (error) {
    job = { ...job, state: "failed", error: error.message };
  }
  card.end(job);
  if (job.state !== "done") return;
  await results.list();
  if (job.id === latest) location.hash = job.id;
}

function jobCard(job) {
  const told = make("span", { className: "told" });
  const bar = make("progress", { max: job.of, "aria-label": `Progress of ${job.title}` });
  const button = make("button", { type: "button", className: "quiet" }, "Cancel");
  const item = make("li", { className: "panel job" }, make("b", {}, job.title), told, bar, button);
  button.addEventListener("click", () => {
    if (item.classList.contains("over")) item.remove();
    else call("DELETE", `jobs/${job.id}`).catch(() => { /* its end is told by its events */ });
  });
  const tell = (now) => {
    if (now.done) bar.value = now.done;
    const of = now.of > 1 ? `${now.done} of ${now.of} methods · ` : "";
    told.textContent = now.state === "queued" ? (now.position > 1 ? `waits, number ${now.position}` : "is next")
      : `${of}${now.passes} passes · ${now.seconds.toFixed(1)} s`;
  };
  const end = (now) => {
    if (now.state === "done") {
      item.remove();
      say(`Explained: ${now.title}`);
      return;
    }
    item.classList.add("over", now.state);
    told.textContent = now.state === "cancelled" ? "cancelled" : now.error;
    told.setAttribute("role", "alert");
    bar.remove();
    button.textContent = "Dismiss";
  };
  tell(job);
  return { item, tell, end };
}

// What the address says ----------------------------------------------------------------------------------------------

async function route() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const inData = wanted === "data" && data;
  for (const [link, on] of [[find(".to-explain"), !inData], [find(".to-data"), inData]]) {
    if (on) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  find(".data").hidden = !inData;
  if (inData) {
    results.clear();
    find(".welcome").hidden = true;
    data.go(data.page);
  } else if (/^[0-9a-f]{32}(,[0-9a-f]{32})*$/.test(wanted)) {
    try {
      await results.show(wanted.split(","));
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

find(".examples").append(...about.examples.map((asked) => {
  const kind = asked.image ? "image" : asked.context ? "question" : "text";
  const image = asked.image ? make("img", { src: `data:image/png;base64,${asked.image}`, alt: "" }) : "";
  const said = asked.context ? make("span", { className: "said" }, asked.context) : "";
  const button = make("button", { type: "button", className: "example" }, make("small", {}, kind), image,
    asked.text ?? asked.question, said);
  button.addEventListener("click", () => {
    form.fill({ ...asked, methods: form.picked });
    send(form.ask());
  });
  return button;
}));
find(".to-data").hidden = !data;
addEventListener("hashchange", route);
await results.list();
await route();
find("#ask").dataset.ready = "";
