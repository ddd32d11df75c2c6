// The page's buttons.

import { ask, at, note, press, send } from "./basics.js";
import { serverProcess, watch } from "./board.js";
import { follow } from "./follow.js";

at("signup").addEventListener("submit", (event) => {
  event.preventDefault();
  const account = Object.fromEntries(new FormData(event.target));
  press("signup-note", event.submitter, async () => {
    const began = performance.now();
    await send("/accounts", account);
    note("signup-note", `Account opened in ${Math.round(performance.now() - began)} ms; a mail is on its way.`);
  });
});

at("signup-many").addEventListener("click", (event) => press("signup-note", event.target, async () => {
  const people = Array.from({ length: 20 }, (_, place) => `guest${place + 1}`);
  await Promise.all(people.map((name) => send("/accounts", { name, address: `${name}@example.org` })));
  note("signup-note", "20 accounts opened; 20 mails are on their way.");
}));

at("outage").addEventListener("click", (event) => press("outage-note", event.target, () => send("/outage")));

at("invoice").addEventListener("click", (event) => press("invoice-note", event.target, async () => {
  at("invoice-link").hidden = true;
  const accepted = await (await send("/invoices", { customer: at("signup").elements.name.value })).json();
  const { state, result } = await follow(accepted, "invoice", ({ state }, done, total) => {
    note("invoice-note", `${state}: ${done} of ${total} lines drawn.`);
  });
  if (!result) return;
  note("invoice-note", `${state}: drawn by process ${result.process}.`);
  at("invoice-link").href = result.url;
  at("invoice-link").hidden = false;
}));

async function importOrders(file) {
  const form = new FormData();
  form.append("upload", file, "orders.csv");
  note("import-note", "Uploading …");
  at("import-problems").replaceChildren();
  const accepted = await (await ask("/imports", { method: "POST", body: form })).json();
  at("import-cancel").value = accepted.links.cancel;
  at("import-cancel").disabled = false;
  const { state, result, error } = await follow(accepted, "import", ({ state }, done, total) => {
    note("import-note", `${state}: ${done} of ${total} orders read.`);
  });
  at("import-cancel").disabled = true;
  if (error) note("import-note", error.code === state ? `${state}.` : `${state}: ${error.code}`);
  if (!result) return;
  note("import-note", `${state}: ${result.orders} orders worth ${result.total}, ${result.rejected} rejected.`);
  at("import-problems").replaceChildren(...result.problems.map((text) => {
    const entry = document.createElement("li");
    entry.textContent = text;
    return entry;
  }));
}

at("import").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = event.target.elements.upload.files;
  press("import-note", event.submitter, () => importOrders(file));
});

at("import-sample").addEventListener("click", (event) => {
  press("import-note", event.target, async () => importOrders(await (await ask("/orders.csv")).blob()));
});

at("import-cancel").addEventListener("click", ({ target }) => {
  target.disabled = true;
  ask(target.value, { method: "POST" }).catch((error) => note("import-note", `That did not work: ${error.message}`));
});

at("newsletter").addEventListener("click", (event) => press("newsletter-note", event.target, async () => {
  await send("/newsletter");
  note("newsletter-note", "50 mails are queued. Now kill the server.");
}));

at("kill").addEventListener("click", async () => {
  // It dies before it can answer. The process is named, because browsers repeat a request whose connection broke.
  await fetch(`/kill/${serverProcess()}`, { method: "POST" }).catch(() => null);
  note("newsletter-note", "Killed.");
});

watch();
