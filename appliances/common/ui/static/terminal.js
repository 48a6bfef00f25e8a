// A terminal in the page: xterm.js draws, a stream of events brings what the shell writes, POSTs take there what is typed.
"use strict";

const place = document.querySelector("[data-terminal]");
const texts = place.dataset;
const canvas = place.querySelector("[data-terminal-screen]");
const stateOf = place.querySelector("[data-terminal-state]");
const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
const KEYS = { escape: "\x1b", tab: "\t", interrupt: "\x03", "end-of-input": "\x04", up: "\x1b[A", down: "\x1b[B" };
const PIECE = 16000; // characters sent at once, so that they fit into 64 KiB whatever they are
const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000; // milliseconds between attempts to get the line back

// The policy of the page lets styles through that carry its nonce, or that are set on an element by script. xterm.js makes
// its <style> elements without one, and sets the style of coloured characters as an attribute: both are put right here.
const create = document.createElement.bind(document);
document.createElement = (name, options) => {
  const made = create(name, options);
  if (made instanceof HTMLStyleElement) made.nonce = texts.nonce;
  return made;
};
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value; else setAttribute.call(this, name, value);
};

const hex = (color) => "#" + color.match(/\d+/g).slice(0, 3).map((part) => Number(part).toString(16).padStart(2, "0")).join("");
function colours() {
  const found = getComputedStyle(canvas);
  const ink = hex(found.color), paper = hex(found.backgroundColor);
  return { foreground: ink, background: paper, cursor: ink, cursorAccent: paper, selectionBackground: hex(found.outlineColor), selectionForeground: paper };
}

const terminal = new Terminal({
  cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  fontFamily: getComputedStyle(canvas).fontFamily,
  fontSize: 13,
  minimumContrastRatio: 4.5, // whatever colours a program chooses, on either ground
  scrollback: 5000,
});
const fit = new FitAddon.FitAddon();
terminal.loadAddon(fit);

terminal.open(canvas);
terminal.options.theme = colours();
terminal.textarea.setAttribute("aria-label", texts.label);
terminal.textarea.setAttribute("aria-describedby", "terminal-help");
terminal.focus();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { terminal.options.theme = colours(); });

function say(name) {
  place.dataset.state = name;
  stateOf.textContent = texts[name];
}

async function post(address, body) {
  const answer = await fetch(address, {
    method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": token }, body: JSON.stringify(body ?? {}), redirect: "manual",
  });
  if (answer.type === "opaqueredirect" || answer.status === 400 || answer.status === 401 || answer.status === 403) say("signedOut");
  if (answer.status === 404 || answer.status === 409) over(texts.gone);
  return answer;
}

// ── what the shell writes ────────────────────────────────────────────────────────────────────────────────────────

let offset = 0, source = null, timer = 0, pause = FIRST_PAUSE, ended = false;
function connect() {
  clearTimeout(timer);
  if (source || ended) return;
  source = new EventSource(`${texts.terminal}?offset=${offset}`);
  source.addEventListener("open", () => { pause = FIRST_PAUSE; say("open"); });
  source.addEventListener("output", (event) => {
    terminal.write(Uint8Array.from(atob(event.data), (one) => one.charCodeAt(0)));
    offset = Number(event.lastEventId);
  });
  source.addEventListener("lost", () => terminal.write(`\r\n\x1b[2m${texts.lost}\x1b[0m\r\n`));
  source.addEventListener("end", (event) => over(texts[JSON.parse(event.data).reason]));
  source.addEventListener("error", () => {
    disconnect();
    if (ended) return;
    if (place.dataset.state !== "signedOut") say(pause > FIRST_PAUSE ? "waiting" : "connecting");
    resize(true); // its answer says why, which a stream does not
    timer = setTimeout(connect, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  });
}
function disconnect() {
  source?.close();
  source = null;
}
window.addEventListener("pagehide", () => { clearTimeout(timer); disconnect(); });

function over(why) {
  if (ended) return;
  ended = true;
  clearTimeout(timer);
  disconnect();
  terminal.options.disableStdin = true;
  terminal.options.cursorBlink = false;
  place.dataset.state = "over";
  stateOf.textContent = why;
  place.querySelectorAll("button").forEach((button) => { button.disabled = !("terminalReader" in button.dataset); });
  const box = document.querySelector("[data-terminal-over]");
  box.querySelector("[data-terminal-why]").textContent = why;
  box.hidden = false;
  box.querySelector("button").focus();
}

// ── what is typed: one request at a time, so that it arrives in its order; what comes meanwhile goes with the next ───

let typed = "", sending = false;
async function send(text) {
  typed += text;
  if (sending) return;
  sending = true;
  while (typed && !ended) {
    let piece = typed.slice(0, PIECE);
    if (/[\ud800-\udbff]$/.test(piece) && piece.length < typed.length) piece = piece.slice(0, -1);
    typed = typed.slice(piece.length);
    try {
      const answer = await post(texts.input, { data: piece });
      if (answer.status >= 500) { typed = ""; say("waiting"); }
    } catch { // nobody knows whether it arrived, and to type something twice is worse than to lose it
      typed = "";
      say("waiting");
    }
  }
  sending = false;
}
terminal.onData(send);

// ── its size ────────────────────────────────────────────────────────────────────────────────────────────────────

let told = "", measuring = 0;
function resize(always) {
  fit.fit();
  const size = `${terminal.cols} ${terminal.rows}`;
  if (ended || (size === told && !always)) return;
  told = size;
  post(texts.size, { columns: terminal.cols, rows: terminal.rows }).catch(() => { told = ""; });
}
new ResizeObserver(() => { clearTimeout(measuring); measuring = setTimeout(resize, 150); }).observe(canvas);

// ── keys and buttons ────────────────────────────────────────────────────────────────────────────────────────────

// The shell needs the Tab key, so the keyboard has another way out of here (WCAG 2.1.2); the text below the screen says it.
terminal.attachCustomKeyEventHandler((event) => {
  if (event.type !== "keydown") return true;
  if (event.ctrlKey && event.key === "F6") {
    event.preventDefault();
    document.querySelector("[data-terminal-end]:enabled, [data-terminal-over] button").focus();
    return false;
  }
  if (event.ctrlKey && event.shiftKey && event.code === "KeyC") {
    event.preventDefault();
    if (terminal.hasSelection()) navigator.clipboard?.writeText(terminal.getSelection());
    return false;
  }
  return !(event.ctrlKey && event.shiftKey && event.code === "KeyV"); // the browser's own paste
});
place.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.terminalKey) { send(KEYS[button.dataset.terminalKey]); terminal.focus(); }
  if ("terminalEnd" in button.dataset) post(texts.end).catch(() => say("waiting"));
  if ("terminalReader" in button.dataset) {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    terminal.options.screenReaderMode = on;
  }
});

resize(true);
connect();
