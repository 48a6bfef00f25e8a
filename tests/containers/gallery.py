"""Every page as people see it: opened in Chromium, in both languages and at both widths, and looked at by axe-core.

Runs as a program of its own, since the browser has to be in the network of the test host. Prints one JSON object per
picture: `picture` (its file), `title`, `too_wide` (pixels that stick out of the screen), `violations` (axe's rules with
the elements that break them).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

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


def speak(pages: Pages, language: str) -> None:
    """Choose the language as the switch in the page does: by its cookie."""
    pages.driver.add_cookie({"name": COOKIE, "value": language, "path": "/", "secure": True})


def look(pages: Pages, axe: str, folder: Path, name: str, language: str) -> Iterator[dict[str, Any]]:
    """The page that is open, at each width."""
    for width, height in SIZES.items():
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        pages.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
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
        if pages.driver.find_elements("css selector", "form.login"):
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


def main(folder: Path, profile: Path, password: str) -> None:
    axe = resources.files("selenium_axe_python").joinpath("axe-core/axe.min.js").read_text(encoding="utf-8")
    with chromium(profile, folder) as pages:
        for seen in tour(pages, axe, folder, password):
            print(json.dumps(seen, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.stdin.read().strip())
