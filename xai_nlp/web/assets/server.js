// Talking to the server. Every address is relative to the page's, which may hold a token.

export function address(path) { return new URL(`api/${path}`, document.baseURI).href; }

// The answer as JSON. Throws an Error with the message of the server, and the `field` that it is about, if any.
export async function call(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = typeof body === "string" ? body : JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(address(path), options);
  } catch {
    throw new Error("The server does not answer. Is xai-nlp serve still running?");
  }
  if (response.ok) {
    return response.headers.get("content-type").startsWith("application/json") ? response.json() : response.text();
  }
  const answer = await response.json().catch(() => ({}));
  throw Object.assign(new Error(answer.error ?? `The server answered ${response.status}.`), { field: answer.field ?? "" });
}

const ENDS = ["done", "failed", "cancelled"];
const STREAMS = 2;                                                   // a browser opens six connections to a server in all
let streams = 0;

// Calls `update` with each state of a job; resolves to its last. Jobs beyond the first few are asked for now and then.
export async function follow(id, update) {
  while (streams >= STREAMS) {
    const job = await call("GET", `jobs/${id}`);
    update(job);
    if (ENDS.includes(job.state)) return job;
    await new Promise((resume) => { setTimeout(resume, 500); });
  }
  streams += 1;
  return listen(id, update).finally(() => { streams -= 1; });
}

function listen(id, update) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(address(`jobs/${id}/events`));
    source.onmessage = (event) => {
      const job = JSON.parse(event.data);
      update(job);
      if (ENDS.includes(job.state)) {
        source.close();
        resolve(job);
      }
    };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;          // it connects again by itself
      call("GET", `jobs/${id}`).then(resolve, reject);
    };
  });
}

// An element with properties and children; strings become text.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "for" || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// A click anywhere on an element acts, except on its own controls or to select text.
export function clickable(element, act) {
  element.classList.add("clickable");
  element.addEventListener("click", (event) => {
    if (!event.target.closest("button, input, a, label") && !String(getSelection())) act();
  });
  return element;
}

// A share of something as people read it: 0.034 is "3.4 %".
export function percent(share) { return `${(100 * share).toFixed(share > 0.1 && share < 0.99 ? 0 : 1)} %`; }

export function fail(place, message) {
  place.textContent = message;
  place.hidden = !message;
}
