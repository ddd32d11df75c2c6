// What is going on, looked up twice a second: the server, the mail server, the jobs and the mailbox.

import { ask, at, note, write } from "./basics.js";

const POLL = 500;
const PATIENCE = 900; // ms without an answer: the server is gone
let lastProcess = null;
let restarts = 0;

export const serverProcess = () => lastProcess;

export async function watch() {
  try {
    const patience = { signal: AbortSignal.timeout(PATIENCE) };
    const [overview, mails] = await Promise.all(
      ["/overview", "/mails"].map(async (path) => (await ask(path, patience)).json()),
    );
    showServer(overview.pid);
    showOutage(overview.refuses_for);
    showCounts(overview.counts);
    showJobs(overview.jobs);
    showMails(mails);
  } catch {
    note("server", "The server is gone. Waiting for its restart …");
    at("server").className = "dead";
  }
  setTimeout(watch, POLL);
}

function showServer(pid) {
  if (lastProcess !== null && lastProcess !== pid) restarts += 1;
  lastProcess = pid;
  const often = restarts === 1 ? "once" : `${restarts} times`;
  note("server", `The server is process ${pid}` + (restarts ? `, restarted ${often}` : ""));
  at("server").className = "alive";
}

function showOutage(seconds) {
  note("outage-note", seconds ? `It refuses for ${Math.ceil(seconds)} s more.` : "It takes mails.");
  at("outage-note").className = seconds ? "note dead" : "note";
}

function showCounts(counts) {
  at("counts").replaceChildren(...Object.entries(counts).map(([state, jobs]) => {
    const entry = document.createElement("li");
    entry.className = state;
    entry.textContent = `${jobs} ${state}`;
    return entry;
  }));
}

// Rows are kept while their jobs are shown: what somebody has opened stays open.
function showJobs(jobs) {
  const rows = new Map([...at("jobs").rows].map((row) => [row.dataset.job, row]));
  const wanted = jobs.map((job) => rows.get(job.id) ?? newRow(job));
  if (wanted.some((row, place) => at("jobs").rows[place] !== row)) at("jobs").replaceChildren(...wanted);
  jobs.forEach((job, place) => showJob(wanted[place], job));
}

function newRow({ id }) {
  const row = at("job").content.firstElementChild.cloneNode(true);
  row.dataset.job = id;
  row.querySelector("details").addEventListener("toggle", () => showAttempts(row));
  return row;
}

function showJob(row, { id, task, state, attempt, next_in, error }) {
  const next = next_in === null ? "" : next_in ? `next attempt in ${Math.ceil(next_in)} s` : "next attempt now";
  [id.slice(-12), task, state, `${attempt}`, next].forEach((text, cell) => write(row.cells[cell], text));
  row.cells[2].className = state;
  row.querySelector("details").hidden = !error;
  write(row.querySelector("summary"), error ?? "");
  const before = row.dataset.attempt;
  row.dataset.attempt = `${attempt} ${state}`;
  if (before !== row.dataset.attempt) showAttempts(row);
}

async function showAttempts(row) {
  if (!row.querySelector("details").open) return;
  const attempts = await (await ask(`/jobs/${row.dataset.job}/attempts`)).json();
  row.querySelector("ol").replaceChildren(...attempts.map(({ started, error }) => {
    const entry = document.createElement("li");
    entry.textContent = `${new Date(started).toLocaleTimeString("en-GB")} ${error}`;
    return entry;
  }));
}

function showMails({ count, newsletters, latest }) {
  note("mail-count", `${count}`);
  at("mails").replaceChildren(...latest.map(({ to, subject, arrived }) => {
    const row = document.createElement("tr");
    for (const text of [new Date(arrived * 1000).toLocaleTimeString("en-GB"), to, subject]) {
      row.insertCell().textContent = text;
    }
    return row;
  }));
  at("newsletter-progress").value = newsletters;
  if (newsletters) note("newsletter-note", `${newsletters} of 50 newsletters have arrived.`);
}
