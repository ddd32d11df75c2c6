// The dashboard's script: keeps pages true, counts times on, and gives keys. All of it can be done without.
const root = document.body.dataset.root;
const QUICK = 2000, SLOW = 10000, REST = 5 * 60 * 1000;

let tag = null, held = false, stopped = false, touched = Date.now(), waiting = null, timer = 0;
let skew = 0, pace = QUICK;

// Times ----------------------------------------------------------------------------------------------------
const UNITS = [["d", 86400], ["h", 3600], ["min", 60]];
function rough(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [unit, length] of UNITS) {
    if (whole >= 2 * length || (whole >= length && unit === "min")) return `${Math.floor(whole / length)} ${unit}`;
  }
  return `${whole} s`;
}
function ago(seconds) {
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${rough(seconds)} ago` : `in ${rough(-seconds)}`;
}
const local = () => localStorage.getItem("postlude.zone") === "local";
function countOn() {
  const now = Date.now() - skew;
  for (const one of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(one.dateTime);
    if (Number.isNaN(at)) continue;
    const text = ago((now - at) / 1000);
    if (one.textContent !== text) one.textContent = text;
    const exact = local() ? new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" })
      : one.dateTime.replace("T", " ").replace("Z", " UTC");
    if (one.title !== exact) one.title = exact;
    const beside = one.nextElementSibling;
    if (beside?.classList.contains("exact") && beside.textContent !== exact) beside.textContent = exact;
  }
}

// Pages that keep true -------------------------------------------------------------------------------------
const busy = () => document.hidden || stopped || !document.body.hasAttribute("data-live")
  || document.querySelector("dialog[open], input[type=checkbox][name=id]:checked, main form[data-editing]") !== null
  || !(getSelection()?.isCollapsed ?? true);

function plan(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(look, milliseconds);
}
async function look() {
  if (busy()) return plan(QUICK);
  const began = performance.now();
  try {
    const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store", redirect: "manual" });
    if (over(answer)) return location.reload();
    pace = Math.max(QUICK, 1000 * (Number(answer.headers.get("Postlude-Poll")) || 0));
    if (answer.status === 200) {
      tag = answer.headers.get("ETag");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!busy()) take(fresh);
    }
  } catch { /* the server is away: the next look finds it */ }
  const took = performance.now() - began;
  plan(Math.max(Date.now() - touched > REST ? SLOW : pace, took * 20));
}
function over(answer) { // whoever looks has been signed out, or what they look at has gone
  if (answer.type === "opaqueredirect" || answer.status === 401) return true;
  const ours = answer.headers.has("Content-Security-Policy"); // and not a proxy's, while the server is away
  return answer.status === 404 && ours && !location.pathname.endsWith("/operation"); // other processes do not know it
}
function take(fresh) {
  learn(fresh);
  let moved = false;
  for (const region of document.querySelectorAll("[data-region]")) {
    const other = fresh.querySelector(`[data-region="${CSS.escape(region.dataset.region)}"]`);
    if (!other || same(region, other)) continue;
    if (region.hasAttribute("data-still") && (held || region.contains(document.activeElement)) && ids(region) !== ids(other)) {
      moved = true; // rows do not move under the pointer
      continue;
    }
    swap(region, other);
  }
  moved ? offer(fresh) : offer(null);
  arrange();
}
const ids = region => [...region.querySelectorAll("tr[data-id], td.what")].map(one => one.dataset.id ?? one.textContent).join();
function same(region, other) {
  const plain = element => {
    const copy = element.cloneNode(true);
    for (const one of copy.querySelectorAll("time")) { one.textContent = ""; one.removeAttribute("title"); }
    for (const one of copy.querySelectorAll(".exact")) one.textContent = "";
    for (const one of copy.querySelectorAll("details[open]")) one.removeAttribute("open");
    for (const one of copy.querySelectorAll("[hidden]")) one.removeAttribute("hidden");
    return copy.innerHTML;
  };
  return plain(region) === plain(other);
}
function swap(region, other) {
  const open = new Set([...region.querySelectorAll("details[open][data-keep]")].map(one => one.dataset.keep));
  const at = region.contains(document.activeElement) ? pathOf(document.activeElement) : null;
  const scrolled = [...region.querySelectorAll(".scroll")].map(one => [one.scrollTop, one.scrollLeft]);
  region.replaceChildren(...[...other.childNodes].map(node => document.importNode(node, true)));
  for (const one of region.querySelectorAll("details[data-keep]")) one.open = open.has(one.dataset.keep);
  [...region.querySelectorAll(".scroll")].forEach((one, place) => {
    if (scrolled[place]) [one.scrollTop, one.scrollLeft] = scrolled[place];
  });
  if (at) find(region, at)?.focus({ preventScroll: true });
}
function pathOf(element) {
  return { href: element.getAttribute("href"), id: element.id, row: element.closest("tr")?.dataset.id, kind: element.tagName, name: element.name, text: element.textContent };
}
function find(region, { href, id, row, kind, name, text }) {
  if (id) return document.getElementById(id);
  const home = row ? region.querySelector(`tr[data-id="${CSS.escape(row)}"]`) ?? region : region;
  return [...home.querySelectorAll(kind)].find(one => one.getAttribute("href") === href && (one.name ?? "") === (name ?? "") && one.textContent === text);
}
function offer(fresh) {
  document.querySelector(".news")?.remove();
  waiting = fresh;
  if (!fresh) return;
  const box = document.createElement("div");
  box.className = "news";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Show what is new";
  button.addEventListener("click", () => {
    const page = waiting;
    offer(null);
    for (const region of document.querySelectorAll("[data-region]")) {
      const other = page.querySelector(`[data-region="${CSS.escape(region.dataset.region)}"]`);
      if (other) swap(region, other);
    }
    arrange();
    document.getElementById("main").focus();
  });
  box.append(button);
  document.querySelector("[data-still]")?.before(box);
}
function learn(page) {
  const said = page.querySelector('[data-region="asof"] time')?.dateTime;
  if (said) skew = Date.now() - Date.parse(said);
}
let stream = null;
function follow() {
  const address = document.querySelector("[data-stream]")?.dataset.stream;
  if (!address) { stream?.close(); stream = null; return; }
  if (stream) return;
  stream = new EventSource(address);
  stream.onmessage = ({ data }) => {
    if (JSON.parse(data).done) { stream.close(); stream = null; }
    plan(50);
  };
}

// What the pages have for those who have scripts -----------------------------------------------------------
function arrange() {
  countOn();
  for (const one of document.querySelectorAll("button.copy[hidden]")) one.hidden = !navigator.clipboard;
  follow();
  choose();
}
const picked = () => [...document.querySelectorAll("input[type=checkbox][name=id]:checked")];
function choose() {
  for (const one of document.querySelectorAll("input[type=checkbox][name=id]")) one.closest("tr").classList.toggle("chosen", one.checked);
  const bar = document.querySelector(".selection");
  if (!bar) return;
  const number = picked().length;
  bar.classList.toggle("some", number > 0);
  const told = bar.querySelector(".chosen-number");
  if (told) told.textContent = number ? `${number} selected` : "";
  for (const one of bar.querySelectorAll("button[data-needs-selection]")) one.disabled = !number;
  const all = document.getElementById("pick-all");
  if (all) {
    all.checked = number > 0 && number === document.querySelectorAll("input[type=checkbox][name=id]").length;
    all.indeterminate = number > 0 && !all.checked;
  }
}
let lastPicked = null;
document.addEventListener("click", event => {
  const target = event.target;
  const copy = target.closest?.("button.copy");
  if (copy) {
    navigator.clipboard.writeText(copy.dataset.copy).then(() => tell("Copied."));
    return;
  }
  if (target.id === "pick-all") {
    for (const one of document.querySelectorAll("input[type=checkbox][name=id]")) one.checked = target.checked;
    choose();
  } else if (target.name === "id") {
    const boxes = [...document.querySelectorAll("input[type=checkbox][name=id]")];
    if (event.shiftKey && lastPicked && boxes.includes(lastPicked)) {
      const [from, to] = [boxes.indexOf(lastPicked), boxes.indexOf(target)].sort((a, b) => a - b);
      for (const one of boxes.slice(from, to + 1)) one.checked = target.checked;
    }
    lastPicked = target;
    choose();
  }
});
function tell(text) {
  const place = document.getElementById("outcome");
  place.textContent = "";
  requestAnimationFrame(() => { place.textContent = text; });
}
document.addEventListener("change", event => {
  if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
});
document.addEventListener("submit", event => {
  for (const one of event.target.querySelectorAll("select[data-submits]")) {
    if ([...one.options].find(option => option.defaultSelected)?.value === one.value) one.disabled = true; // as it was
  }
});
for (const kind of ["pointerover", "pointerout"]) {
  document.addEventListener(kind, event => {
    held = kind === "pointerover" && event.target.closest?.("[data-still] tbody") !== null && event.pointerType !== "touch";
  });
}
for (const kind of ["pointermove", "keydown", "scroll"]) addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
addEventListener("pageshow", () => { for (const one of document.querySelectorAll("select:disabled")) one.disabled = false; });
document.addEventListener("visibilitychange", () => { if (!document.hidden) plan(100); });

// Keys -----------------------------------------------------------------------------------------------------
const help = document.createElement("dialog");
const KEYS = [["/", "find"], ["g n", "Now"], ["g f", "Failures"], ["g j", "Jobs"], ["g t", "Tasks"], ["g s", "Schedules"],
  ["g p", "Processes"], ["j k", "next, previous row"], ["x", "select the row"], ["Enter", "open the row"],
  [".", "stop or go on updating"], ["?", "these keys"]];
help.setAttribute("aria-label", "Keys");
const list = document.createElement("dl");
for (const [key, what] of KEYS) {
  const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
  for (const part of key.split(" ")) { const kbd = document.createElement("kbd"); kbd.textContent = part; dt.append(kbd, " "); }
  dd.textContent = what;
  list.append(dt, dd);
}
const off = document.createElement("button");
off.type = "button";
const close = document.createElement("button");
close.type = "button";
close.textContent = "Close";
close.className = "main";
close.addEventListener("click", () => help.close());
const keysOff = () => localStorage.getItem("postlude.keys") === "off";
const nameOff = () => { off.textContent = keysOff() ? "Turn keys on" : "Turn keys off"; };
off.addEventListener("click", () => { localStorage.setItem("postlude.keys", keysOff() ? "on" : "off"); nameOff(); });
nameOff();
const title = document.createElement("h2");
title.textContent = "Keys";
const buttons = document.createElement("p");
buttons.className = "acts";
buttons.append(close, off);
help.append(title, list, buttons);
document.body.append(help);

let going = 0, row = -1;
function rows() { return [...document.querySelectorAll("main .stack tbody tr")]; }
function step(by) {
  const all = rows();
  if (!all.length) return;
  const here = all.indexOf(document.activeElement?.closest?.("tr"));
  row = Math.min(all.length - 1, Math.max(0, (here >= 0 ? here : row) + by));
  (all[row].querySelector("a.name, a") ?? all[row].querySelector("input"))?.focus();
}
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input:not([type=checkbox]), textarea, select") || help.open) return;
  if (keysOff() && event.key !== "?") return;
  if (going && Date.now() - going < 1500) {
    going = 0;
    const entry = document.querySelector(`.pages a[data-letter="${CSS.escape(event.key)}"]`);
    if (entry) { event.preventDefault(); entry.click(); }
    return;
  }
  switch (event.key) {
    case "g": going = Date.now(); break;
    case "/": event.preventDefault(); (document.getElementById("q") ?? document.querySelector(".find input")).focus(); break;
    case "j": step(1); break;
    case "k": step(-1); break;
    case "x": document.activeElement?.closest?.("tr")?.querySelector("input[type=checkbox][name=id]")?.click(); break;
    case ".": stop(); break;
    case "?": help.showModal(); break;
  }
});
function stop() {
  stopped = !stopped;
  pause.textContent = stopped ? "Go on updating" : "Stop updating";
  tell(stopped ? "Updating has stopped." : "Updating goes on.");
}
const pause = document.getElementById("pause-live"), zone = document.getElementById("zone"), keys = document.getElementById("keys");
pause.hidden = !document.body.hasAttribute("data-live");
pause.addEventListener("click", stop);
keys.hidden = false;
keys.addEventListener("click", () => help.showModal());
const nameZone = () => { zone.textContent = local() ? "Show UTC" : "Show local times"; };
zone.hidden = false;
nameZone();
zone.addEventListener("click", () => {
  localStorage.setItem("postlude.zone", local() ? "utc" : "local");
  nameZone();
  countOn();
});

learn(document);
arrange();
setInterval(countOn, 1000);
plan(QUICK);

// What has been done is said once, and not again by a reload or by an address that was kept.
const shown = new URL(location.href);
if (shown.searchParams.has("done")) {
  shown.searchParams.delete("done");
  history.replaceState(history.state, "", shown);
}
