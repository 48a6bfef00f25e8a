// Pages that renew themselves: a stream of server-sent events says when, asking every few seconds stands in for it.
"use strict";

const SHORTEST = 1000, LONGEST = 30000; // milliseconds between attempts to open a stream
const SELDOM = 30000; // milliseconds after which a fragment is renewed although its stream said nothing

// A stream that is open while the page is seen: hidden pages would use up the six connections that browsers have for a
// server. `address()` is asked before each attempt, so that it can say where to go on.
function listen(place, address, handlers) {
  let source = null, timer = 0, pause = SHORTEST, wanted = true;
  const state = (name) => { place.dataset.stream = name; };
  function open() {
    clearTimeout(timer);
    if (source || !wanted || document.hidden) return;
    source = new EventSource(address());
    source.addEventListener("open", () => { pause = SHORTEST; state("open"); });
    source.addEventListener("error", () => { close(); timer = setTimeout(open, pause); pause = Math.min(pause * 2, LONGEST); });
    for (const [name, handler] of Object.entries(handlers)) source.addEventListener(name, handler);
  }
  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
    state("closed");
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  window.addEventListener("pagehide", close);
  open();
  return {
    want(yes) { wanted = yes; if (yes) open(); else close(); },
    again() { close(); timer = setTimeout(open, pause); pause = Math.min(pause * 2, LONGEST); },
  };
}

// ── fragments: each event renews them, at most once a second; what could not be done then is done as soon as it can ──────

const events = document.querySelector("[data-events]");
let stale = false, renewed = Date.now();
if (events) {
  const changed = () => { stale = true; };
  listen(events, () => events.dataset.events, { status: changed, operation: changed, alarms: changed });
  setInterval(() => {
    const part = events.querySelector("[hx-get]");
    if (stale && part && Date.now() - renewed > SHORTEST) htmx.trigger(part, "renew");
  }, 250);
}

// A fragment that renews itself waits while the reader has something open in it, and does not ask while a stream tells.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.target;
  if (!part.getAttribute("hx-trigger")?.includes("every")) return;
  const polled = event.detail.requestConfig.triggeringEvent?.type !== "renew";
  const told = part.closest("[data-stream='open']") && (part.closest("[data-log]") || Date.now() - renewed < SELDOM);
  const still = part.closest("[data-log][data-still]");
  if (document.hidden || part.querySelector(":popover-open") || (polled && (told || still))) { event.preventDefault(); return; }
  stale = false;
  renewed = Date.now();
});

// What the reader has unfolded stays so, and stays where it was scrolled to.
let unfolded = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
  unfolded = new Map();
  event.target.querySelectorAll?.("details[id]").forEach((part) => {
    const log = part.querySelector(".log");
    unfolded.set(part.id, { open: part.open, top: log && log.scrollTop + log.clientHeight < log.scrollHeight - 4 ? log.scrollTop : null });
  });
});
document.addEventListener("htmx:afterSettle", () => {
  for (const [id, was] of unfolded) {
    const part = document.getElementById(id);
    if (!part) continue;
    part.open = was.open;
    const log = part.querySelector(".log");
    if (log) log.scrollTop = was.top ?? log.scrollHeight;
  }
  unfolded = new Map();
});

// ── a log: lines are added as they come ──────────────────────────────────────────────────────────────────────────

const journal = document.querySelector("[data-log]");
if (journal) {
  const box = journal.querySelector("[data-log-filter]"), button = journal.querySelector("[data-log-follow]"), news = journal.querySelector("[data-log-news]");
  const most = Number(journal.dataset.most);
  let waiting = [], unread = 0, drawing = 0;
  const text = () => box.value.trim().toLocaleLowerCase();
  const sift = (line) => { line.hidden = !line.textContent.toLocaleLowerCase().includes(text()); };
  const siftAll = () => journal.querySelectorAll(".log-line").forEach(sift);

  function draw() {
    drawing = 0;
    const log = journal.querySelector(".log");
    if (!log) { waiting = []; return; }
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    const made = document.createElement("template");
    made.innerHTML = waiting.slice(-most).join("");
    unread += waiting.length;
    waiting = [];
    made.content.querySelectorAll(".log-line").forEach(sift);
    log.append(made.content);
    while (log.childElementCount > most) log.firstElementChild.remove();
    journal.querySelector("[data-log-none]")?.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  const stream = listen(journal, () => {
    const address = new URL(journal.dataset.log, location);
    const cursor = journal.querySelector("[data-cursor]")?.dataset.cursor;
    if (cursor) address.searchParams.set("cursor", cursor);
    return address;
  }, {
    line(event) {
      waiting.push(event.data);
      const live = journal.querySelector("[data-cursor]");
      if (live) live.dataset.cursor = event.lastEventId;
      drawing ||= setTimeout(draw, 100);
    },
    end() { stream.again(); },
  });

  // A reader of the screen is told how much has come, now and then; the lines themselves would be a flood.
  setInterval(() => { if (unread) { news.textContent = news.dataset.text.replace("{n}", unread); unread = 0; } }, 10000);
  box.addEventListener("input", siftAll);
  document.addEventListener("htmx:load", siftAll);
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    journal.toggleAttribute("data-still", !on);
    stream.want(on);
  });
}
