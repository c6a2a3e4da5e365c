// The widget on a page of its own: the values of its model come from the server, and its requests go there.
import insights from "./insights.js";
import { call } from "./server.js";

const listeners = {};
const state = await call("GET", "insights");
const update = (values) => {
  Object.assign(state, values);
  for (const name of Object.keys(values)) for (const listener of listeners[`change:${name}`] ?? []) listener();
};

insights.render({
  el: document.getElementById("content"),
  model: {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    off: (event, listener) => { listeners[event] = listeners[event].filter((one) => one !== listener); },
    save_changes: async () => {
      update({ busy: true });
      update(await call("POST", "insights", state.request).catch((error) => ({ problem: error.message })));
      update({ busy: false });
    },
  },
});
