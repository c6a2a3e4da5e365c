// The widget's model where no notebook plays it: its values fetched, what is asked for sent.
import insights from "./module.js";

const heard = {};
const state = await (await fetch("state")).json();
const update = (values) => {
  Object.assign(state, values);
  for (const name of Object.keys(values)) for (const hear of heard[`change:${name}`] ?? []) hear();
};

insights.render({
  el: document.getElementById("place"),
  model: {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    on: (event, hear) => (heard[event] ??= []).push(hear),
    off: (event, hear) => { heard[event] = heard[event].filter((one) => one !== hear); },
    save_changes: async () => {
      update({ busy: true });
      const body = JSON.stringify(state.asked);
      try {
        const got = await fetch("ask", { method: "POST", headers: { "Content-Type": "application/json" }, body });
        update(await got.json());
      } catch {
        update({ problem: "The server did not answer. Is it still running?" });
      }
      update({ busy: false });
    },
  },
});
