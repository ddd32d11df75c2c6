// What is going on, looked up twice a second: the server, the mail server, the jobs and the mailbox.

import { ask, at, note, write } from "./basics.js";

const POLL = 500;
const PATIENCE = 900; // ms without an answer: the server is gone
let lastProcess = null;
let restarts = 0;
let waiting = 0; // newsletters that have not been sent, when that was last known

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
    showCut("jobs-cut", overview.jobs.length, Object.values(overview.counts).reduce((all, jobs) => all + jobs, 0));
    showCommand(overview);
    showMails(mails);
    showNewsletters(mails.newsletters, overview);
  } catch {
    note("server", "The server is gone. Waiting for its restart …");
    at("server").className = "dead";
    if (waiting) note("newsletter-note", `${waiting} mails wait in the journal; nothing moves until the server is back.`);
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

function showCut(id, shown, all) {
  note(id, shown < all ? `The newest ${shown} of ${all}.` : "");
}

function showCommand({ jobs, journal }) {
  const id = jobs.length ? beginning(jobs[0].id) : "ID";
  note("command", `.venv/bin/postlude show ${id} --store "${journal}"`);
}

// Enough of an id for the command line: its time and the number of the job in that millisecond.
const beginning = (id) => id.slice(0, 18);

function showNewsletters(arrived, { newsletters, refuses_for }) {
  waiting = newsletters.waiting;
  at("newsletter-progress").value = arrived;
  if (!arrived && !waiting) return;
  const why = refuses_for
    ? `The mail server refuses (step 2) for ${Math.ceil(refuses_for)} s more`
    : newsletters.next_in > 1
      ? `Nothing moves: each has failed and waits for its next attempt, the first in ${Math.ceil(newsletters.next_in)} s`
      : newsletters.cut_off
        ? "Nothing moves: what was cut off runs again first, one job at a time, and another comes before the mail"
        : "One is sent at a time";
  note("newsletter-note", `${arrived} of 50 newsletters have arrived.` + (waiting ? ` ${why}; ${waiting} jobs wait or run.` : ""));
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
  [beginning(id), task, state, `${attempt}`, next].forEach((text, cell) => write(row.cells[cell], text));
  row.cells[0].title = id;
  row.cells[2].className = state;
  row.className = state;
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

function showMails({ count, latest }) {
  note("mail-count", `${count}`);
  showCut("mails-cut", latest.length, count);
  at("mails").replaceChildren(...latest.map(({ to, subject, arrived }) => {
    const row = document.createElement("tr");
    for (const text of [new Date(arrived * 1000).toLocaleTimeString("en-GB"), to, subject]) {
      row.insertCell().textContent = text;
    }
    return row;
  }));
}
