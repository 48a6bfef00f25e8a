"""Every page as people see it: opened in Chromium, in both languages and at both widths, and looked at by axe-core.

Runs as a program of its own, since the browser has to be in the network of the test host. Prints one JSON object per
picture: `picture` (its file), `title`, `too_wide` (pixels that stick out of the screen), `violations` (axe's rules with
the elements that break them).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from appliances.common.i18n import COOKIE
from tests.browser import Pages, chromium

SERIOUS = ("serious", "critical")
SIZES = {1280: 900, 390: 844}
LANGUAGES = ("ru", "en")
SUBSCRIBER = {"contract": "2026-0007", "name": "Петров Константин Александрович", "phone": "+79161234567"}
PAGES = {
    "base": (
        "https://127.0.0.1/",
        {
            "overview": "",
            "part": "appliances/asr_billing",
            "settings": "appliances/base/settings",
            "log": "appliances/auth/logs",
            "terminal-ask": "appliances/auth/terminal",
            "network": "network",
            "operations": "operations",
            "server": "server",
            "server-network": "server/network",
            "server-people": "server/people",
            "audit": "audit",
            "audit-none": "audit?who=nobody",
            "missing": "no-such-page",
        },
    ),
    "auth": (
        "https://127.0.0.1/auth/",
        {"profile": "profile", "sessions": "sessions", "tokens": "tokens", "journal": "journal"},
    ),
    "billing": (
        "https://127.0.0.1/billing/",
        {
            "subscribers": "",
            "new": "subscribers/new",
            "card": "subscribers/1",
            "form": "subscribers/1/edit",
            "nobody": "?q=nobody",
        },
    ),
}  # fmt: skip
LOOK = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations
  .filter(one => %s.includes(one.impact))
  .map(one => ({rule: one.id, help: one.help, elements: one.nodes.map(node => node.html.slice(0, 200))}))));
""" % json.dumps(SERIOUS)  # noqa: UP031  the text is full of braces


def log_in(pages: Pages, password: str) -> None:
    pages.fill("login", "administrator")
    pages.fill("password", password)
    pages.press("form.login button")
    WebDriverWait(pages.driver, 20).until(lambda _: not signing_in(pages), "nobody was let in")


def signing_in(pages: Pages) -> bool:
    """Whether the page that is open asks who one is."""
    return bool(pages.driver.find_elements("css selector", "form.login"))


def speak(pages: Pages, language: str) -> None:
    """Choose the language as the switch in the page does: by its cookie."""
    pages.driver.add_cookie({"name": COOKIE, "value": language, "path": "/", "secure": True})


def look(pages: Pages, axe: str, folder: Path, name: str, language: str) -> Iterator[dict[str, Any]]:
    """The page that is open, at each width. Raises ValueError when it asks for a log-in instead."""
    if signing_in(pages) and not name.endswith("-login"):
        raise ValueError(f"{name}: the browser is not signed in")
    for width, height in SIZES.items():
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        pages.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        if pages.driver.find_elements("css selector", "[data-terminal]"):
            time.sleep(1)  # it measures itself anew, and the shell is told
        picture = folder / f"{name}-{language}-{width}.png"
        pages.keep_picture(picture)
        too_wide = pages.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        pages.driver.execute_script(axe)
        yield {
            "picture": str(picture),
            "title": pages.driver.title,
            "too_wide": max(0, too_wide),
            "violations": pages.driver.execute_async_script(LOOK),
        }


def tour(pages: Pages, axe: str, folder: Path, password: str) -> Iterator[dict[str, Any]]:
    """All pages; what needs a subscriber finds one, made in its form."""
    for part, (address, paths) in PAGES.items():
        pages.open(address)
        if signing_in(pages):
            for language in LANGUAGES:
                speak(pages, language)
                pages.open(address)
                yield from look(pages, axe, folder, f"{part}-login", language)
            log_in(pages, password)
        if part == "billing":
            pages.open(f"{address}subscribers/new")
            for field, value in SUBSCRIBER.items():
                pages.fill(field, value)
            pages.press("form.form .btn-primary")
        for language in LANGUAGES:
            speak(pages, language)
            for name, path in paths.items():
                pages.open(address + path)
                yield from look(pages, axe, folder, f"{part}-{name}", language)


def use_terminal(pages: Pages, axe: str, folder: Path, address: str) -> Iterator[dict[str, Any]]:
    """A terminal from its button to its end; `text` is what its screen shows, `left` where the keyboard gets out to."""
    for language in LANGUAGES:
        speak(pages, language)
        pages.open(f"{address}appliances/auth/terminal")
        pages.press("form.actions .btn-primary")
        pages.shown("[data-terminal][data-state='open']")
        pages.driver.switch_to.active_element.send_keys("id; ls --color=always -l /etc/asrbox; stty size\n")
        WebDriverWait(pages.driver, 30).until(lambda _: "uid=0" in screen(pages))
        for seen in look(pages, axe, folder, "base-terminal", language):
            yield {**seen, "text": screen(pages)}
        pages.driver.switch_to.active_element.send_keys("\t")
        still_inside = "xterm" in (pages.driver.switch_to.active_element.get_attribute("class") or "")
        pages.driver.switch_to.active_element.send_keys(Keys.CONTROL, Keys.F6)
        button = pages.driver.switch_to.active_element
        yield {"picture": "", "still_inside": still_inside, "left": button.get_attribute("data-terminal-end")}
        button.send_keys(Keys.ENTER)
        pages.shown("[data-terminal-over]:not([hidden])")
        yield from look(pages, axe, folder, "base-terminal-over", language)
        refused = [one["message"] for one in pages.driver.get_log("browser") if "Content Security" in one["message"]]
        yield {"picture": "", "refused": refused}


def screen(pages: Pages) -> str:
    """The lines of the terminal."""
    rows = pages.driver.find_elements("css selector", ".xterm-rows > div")
    return "\n".join(row.text for row in rows)


def follow_log(pages: Pages, address: str) -> dict[str, Any]:
    """Whether a line that is written now comes by itself, a filter hides the others, and a pause holds."""
    driver = pages.driver
    pages.open(f"{address}appliances/base/logs")
    pages.shown("[data-log][data-stream='open']")
    driver.execute_script("fetch('/written-now', {headers: {'X-Request-Id': 'gallery-first'}})")
    WebDriverWait(driver, 20).until(lambda _: "gallery-first" in driver.find_element("css selector", ".log").text)
    pages.fill_in("[data-log-filter]", "gallery-first")
    shown = [one.text for one in driver.find_elements("css selector", ".log-line") if one.is_displayed()]
    pages.fill_in("[data-log-filter]", "")
    driver.find_element("css selector", "[data-log-follow]").click()
    driver.execute_script("fetch('/written-now', {headers: {'X-Request-Id': 'gallery-second'}})")
    time.sleep(7)  # longer than a page without a stream takes to ask
    paused = "gallery-second" not in driver.find_element("css selector", ".log").text
    driver.find_element("css selector", "[data-log-follow]").click()
    WebDriverWait(driver, 20).until(lambda _: "gallery-second" in driver.find_element("css selector", ".log").text)
    return {"picture": "", "followed": len(shown), "paused": paused}


def see_a_change(pages: Pages, address: str) -> dict[str, Any]:
    """Seconds after which the overview shows an operation that was asked for elsewhere."""
    newest = "return document.querySelector('.work strong').textContent"
    order = """
    const token = JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRF-Token'];
    fetch('/appliances/asr_billing/daemons/web/restart', {method: 'POST', headers: {'X-CSRF-Token': token}});
    """
    pages.open(address)
    pages.shown("[data-events][data-stream='open']")
    time.sleep(5)  # the stream began with what is; from now on only news renew the page
    known = pages.driver.execute_script(newest)
    began = time.monotonic()
    pages.driver.execute_script(order)
    WebDriverWait(pages.driver, 60, 0.1).until(lambda driver: driver.execute_script(newest) != known)
    return {"picture": "", "seconds": time.monotonic() - began}


def main(folder: Path, profile: Path, password: str) -> None:
    axe = resources.files("selenium_axe_python").joinpath("axe-core/axe.min.js").read_text(encoding="utf-8")
    with chromium(profile, folder) as pages:
        address = PAGES["base"][0]
        for seen in tour(pages, axe, folder, password):
            print(json.dumps(seen, ensure_ascii=False), flush=True)
        for seen in use_terminal(pages, axe, folder, address):
            print(json.dumps(seen, ensure_ascii=False), flush=True)
        for seen in (follow_log(pages, address), see_a_change(pages, address)):
            print(json.dumps(seen, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.stdin.read().strip())
