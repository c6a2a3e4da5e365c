// Jobs: their cards, with percent and remaining time; those that ran before a reload are listed again.
import { call, follow, make } from "./server.js";

export class Jobs {
  constructor(list) { this.list = list; }

  // Submit a request and follow it to its end; resolves to the job, or throws why it was refused.
  async submit(path, request) { return this.track(await call("POST", path, request)); }

  async track(job) {
    const card = new JobCard(job);
    this.list.prepend(card.item);
    card.item.scrollIntoView({ block: "nearest" });
    let last;
    try {
      last = await follow(job.id, (now) => card.update(now));
    } catch (error) {
      last = { ...job, state: "failed", error: error.message };
    }
    card.end(last);
    if (last.state === "done") this.dismiss();
    return { ...last, card };
  }

  dismiss() { for (const over of this.list.querySelectorAll(".failed, .cancelled")) over.remove(); }

  // The jobs that run or wait on the server, the oldest first.
  running() { return call("GET", "jobs"); }
}

class JobCard {
  constructor(job) {
    this.progress = make("span", { className: "progress" });
    this.bar = make("progress", { max: 100, "aria-label": `Progress of ${job.title}` });
    this.button = make("button", { type: "button", className: "quiet" }, "Cancel");
    this.item = make("li", { className: "panel job" }, make("b", {}, job.title), this.progress, this.bar, this.button);
    this.button.addEventListener("click", () => {
      if (this.item.classList.contains("over")) this.item.remove();
      else call("DELETE", `jobs/${job.id}`).catch(() => { /* its events say how it ended */ });
    });
    this.update(job);
  }

  update(job) {
    if (job.percent === null) this.bar.removeAttribute("value");
    else this.bar.value = job.percent;
    this.progress.textContent = job.state === "queued" ? (job.position > 1 ? `waits, number ${job.position}` : "is next") : pace(job);
  }

  end(job) {
    if (job.state === "done") {
      this.item.remove();
      return;
    }
    this.item.classList.add("over", job.state);
    this.progress.textContent = job.state === "cancelled" ? "cancelled" : job.error;
    this.progress.setAttribute("role", "alert");
    this.bar.remove();
    this.button.textContent = "Dismiss";
  }
}

// "42 % · about 8 s left"
function pace({ percent, remaining, seconds }) {
  if (percent === null) return `${seconds.toFixed(0)} s so far`;
  const left = Math.ceil(remaining);
  const time = left < 90 ? `${left} s` : left < 5400 ? `${Math.round(left / 60)} min` : `${Math.round(left / 3600)} h`;
  return remaining === null ? `${percent} %` : `${percent} % · about ${time} left`;
}
