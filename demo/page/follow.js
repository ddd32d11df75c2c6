// Following one job: the shop sends its state whenever it changes (server-sent events).

import { at } from "./basics.js";

// Shows a job, from the answer 202 that accepted it to its end; a browser asks again when the server is back.
export function follow(accepted, name, show) {
  const events = new EventSource(accepted.links.events);
  return new Promise((ended) => {
    events.onmessage = ({ data }) => {
      const job = JSON.parse(data);
      const { current, total, percent } = job.progress ?? { current: 0, total: 0, percent: 0 };
      at(`${name}-progress`).hidden = false;
      at(`${name}-progress`).value = job.state === "succeeded" ? 1 : (percent ?? 0) / 100;
      show(job, current, total ?? 0);
      if (!job.done) return;
      events.close();
      ended(job);
    };
  });
}
