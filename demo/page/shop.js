"use strict";

const POLL = 500;
const PATIENCE = 900; // ms without an answer: the server is gone
const at = (id) => document.getElementById(id);
let lastProcess = null;
let restarts = 0;

async function ask(path, options = {}) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(30000), ...options });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer;
}

function row(...cells) {
  const line = document.createElement("tr");
  for (const [text, style] of cells) {
    const cell = document.createElement("td");
    cell.textContent = text;
    if (style) cell.className = style;
    line.append(cell);
  }
  return line;
}

function note(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function showServer(text, style) {
  note("server", text);
  at("server").className = style;
}

async function refresh() {
  try {
    const patience = { signal: AbortSignal.timeout(PATIENCE) };
    const [overview, mails] = await Promise.all(
      ["/overview", "/mails"].map(async (path) => (await ask(path, patience)).json()),
    );
    if (lastProcess !== null && lastProcess !== overview.pid) restarts += 1;
    lastProcess = overview.pid;
    showServer(`The server is process ${overview.pid}` + (restarts ? `, restarted ${restarts === 1 ? "once" : `${restarts} times`}` : ""), "alive");
    showJobs(overview);
    showMails(mails);
  } catch {
    showServer("The server is gone. Waiting for its restart …", "dead");
  }
  setTimeout(refresh, POLL);
}

function showJobs({ counts, recent }) {
  at("counts").replaceChildren(...Object.entries(counts).map(([state, jobs]) => {
    const entry = document.createElement("li");
    entry.className = state;
    entry.textContent = `${jobs} ${state}`;
    return entry;
  }));
  at("jobs").replaceChildren(...recent.map(({ id, task, state }) => row([id.slice(-12), "id"], [task], [state, state])));
}

function showMails({ count, newsletters, latest }) {
  at("mail-count").textContent = count;
  at("mails").replaceChildren(...latest.map(({ to, subject, arrived }) =>
    row([new Date(arrived * 1000).toLocaleTimeString("en-GB")], [to], [subject])));
  at("newsletter-progress").value = newsletters;
  if (newsletters) note("newsletter-note", `${newsletters} of 50 newsletters have arrived.`);
}

async function attempt(noteId, button, action) {
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    note(noteId, `That did not work: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

async function upload(file) {
  const name = crypto.randomUUID();
  const form = new FormData();
  form.append("upload", file, "orders.csv");
  note("import-note", "Uploading …");
  at("import-rejected").replaceChildren();
  const answer = await ask(`/imports/${name}`, { method: "PUT", body: form });
  const status = answer.headers.get("Location");
  at("import-progress").hidden = false;
  for (;;) {
    await new Promise((wake) => setTimeout(wake, POLL / 2));
    try {
      const job = await (await ask(status)).json();
      const report = await (await ask(`/imports/${name}`)).json();
      showImport(job, report);
      if (["succeeded", "failed", "cancelled"].includes(job.state)) return;
    } catch {
      note("import-note", "Waiting for the server …");
    }
  }
}

function showImport({ state }, { rows, done, orders, rejected, total }) {
  at("import-progress").value = rows ? done / rows : 0;
  note("import-note", `${state}: ${done} of ${rows} rows read; ${orders} orders worth ${total}, ${rejected.length} rejected.`);
  at("import-rejected").replaceChildren(...rejected.slice(0, 5).map((text) => {
    const entry = document.createElement("li");
    entry.textContent = text;
    return entry;
  }));
}

at("signup").addEventListener("submit", (event) => {
  event.preventDefault();
  const account = Object.fromEntries(new FormData(event.target));
  attempt("signup-note", event.submitter, async () => {
    const began = performance.now();
    await ask("/accounts", {
      method: "POST", body: JSON.stringify(account), headers: { "Content-Type": "application/json" },
    });
    note("signup-note", `Account opened in ${Math.round(performance.now() - began)} ms; a mail is on its way.`);
  });
});

at("import").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = event.target.elements.upload.files;
  attempt("import-note", event.submitter, () => upload(file));
});

at("import-sample").addEventListener("click", (event) => {
  attempt("import-note", event.target, async () => upload(await (await ask("/orders.csv")).blob()));
});

at("newsletter").addEventListener("click", (event) => {
  attempt("newsletter-note", event.target, async () => {
    await ask("/newsletter", { method: "POST" });
    note("newsletter-note", "50 mails are queued. Now kill the server.");
  });
});

at("kill").addEventListener("click", async () => {
  // It dies before it can answer. The process is named, because browsers repeat a request whose connection broke.
  await fetch(`/kill/${lastProcess}`, { method: "POST" }).catch(() => null);
  note("newsletter-note", "Killed.");
});

refresh();
