// Small helps on top of pages that work without them: menus that close, times in the reader's zone, live fragments.
"use strict";

// “/” goes to the search box, as long as the reader is not typing somewhere.
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    const search = document.querySelector("[data-search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  }
  if (event.key === "Escape") closeMenus(null);
});

// Menus are <details>: only one is open, and a click elsewhere closes it.
function closeMenus(except) {
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => { if (menu !== except) menu.open = false; });
}
document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details[data-menu]"));
  const close = event.target.closest("[data-close]");
  if (close) close.closest("[data-toast]").remove();
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent).then(() => copy.classList.add("copied"));
});

// A form is sent once: a second click on a slow line must not start the same thing again.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) { event.preventDefault(); return; }
  if (event.target.method === "post") {
    event.target.dataset.sent = "yes";
    event.target.setAttribute("aria-busy", "true");
  }
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; form.removeAttribute("aria-busy"); });
});

// The server writes moments in UTC; here they get the reader's own zone.
function localTimes(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });
  root.querySelectorAll("time[datetime]").forEach((time) => { time.title = format.format(new Date(time.dateTime)); });
  root.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = !navigator.clipboard; });
  root.querySelectorAll("[data-scripted]").forEach((part) => { part.hidden = false; });
  root.querySelectorAll("pre[data-tail]").forEach((log) => { log.scrollTop = log.scrollHeight; });
}
localTimes(document);
document.addEventListener("htmx:load", (event) => localTimes(event.detail.elt));

// When renewing fails, say so once and take it back when it works again.
const toasts = document.getElementById("toasts");
function offline(gone) {
  let note = document.getElementById("offline");
  if (gone && !note) {
    note = document.createElement("div");
    note.id = "offline";
    note.className = "notice notice-warn toast-box";
    note.textContent = document.body.dataset.offline;
    toasts.append(note);
  } else if (!gone && note) note.remove();
}
document.addEventListener("htmx:sendError", () => offline(true));
document.addEventListener("htmx:responseError", (event) => offline(event.detail.xhr.status !== 401));
document.addEventListener("htmx:afterOnLoad", (event) => { if (event.detail.xhr.status < 400) offline(false); });

// Good news leaves by itself; bad news stays until it is closed.
document.querySelectorAll("#toasts .notice-good").forEach((toast) => setTimeout(() => toast.remove(), 6000));
