// Following one job: the shop sends its state whenever it changes (server-sent events).

import { at } from "./basics.js";

// Shows a job, from the answer 202 that accepted it to its end; a browser asks again when the server is back.
export function follow(accepted, name, show) {
  const events = new EventSource(`${accepted.headers.get("Location")}/events`);
  return new Promise((ended) => {
    const read = ({ data }) => {
      const job = JSON.parse(data);
      const { done, total } = job.progress ?? { done: 0, total: 0 };
      at(`${name}-progress`).hidden = false;
      at(`${name}-progress`).value = job.state === "succeeded" ? 1 : total ? done / total : 0;
      show(job, done, total);
      return job;
    };
    events.addEventListener("change", read);
    events.addEventListener("end", (event) => {
      events.close();
      ended(read(event));
    });
  });
}
