"""Headless Chromium that belongs to one test: new profile, no traffic but to the machine."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The CA of the machine is checked in test_life.py; Chromium only needs to get past the name 127.80.0.1.
    "--ignore-certificate-errors",
    "--lang=en",
)
# The size of the page itself: a window's size counts its bars too, which a page then cannot scroll away.
SCREEN = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PAGE = 90.0  # seconds; the first page of a machine that is emulated takes long


class Pages:
    """The browser as a user has it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def shown(self, selector: str) -> str:
        """Text of the first element that fits the CSS selector, waited for."""
        return WebDriverWait(self.driver, PAGE).until(lambda d: d.find_element(By.CSS_SELECTOR, selector)).text

    def fill(self, name: str, value: str) -> None:
        """Write into the field of that name."""
        field = WebDriverWait(self.driver, PAGE).until(lambda d: d.find_element(By.NAME, name))
        field.clear()
        field.send_keys(value)

    def fill_in(self, selector: str, value: str) -> None:
        """The same for the field that fits the CSS selector, key by key."""
        field = WebDriverWait(self.driver, PAGE).until(lambda d: d.find_element(By.CSS_SELECTOR, selector))
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.DELETE, value)

    def press(self, selector: str) -> None:
        """Scroll there, click, and wait until another page has come."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        button = WebDriverWait(self.driver, PAGE).until(lambda d: d.find_element(By.CSS_SELECTOR, selector))
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
        button.click()
        WebDriverWait(self.driver, PAGE).until(lambda d: d.find_element(By.TAG_NAME, "html") != before)

    def keep_picture(self, target: Path) -> None:
        """A picture of the page as it is, for people to look at."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(target))

    def has(self, text: str) -> bool:
        """Wait for a text on the page."""
        return WebDriverWait(self.driver, PAGE).until(lambda d: text in d.find_element(By.TAG_NAME, "body").text)


@contextlib.contextmanager
def chromium(profile: Path, keep: Path) -> Iterator[Pages]:
    """A browser with a new profile; its last page is kept in `keep` as picture and as HTML."""
    options = ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    driver.set_page_load_timeout(PAGE)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)
    try:
        yield Pages(driver)
        keep.mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(keep / "page.png"))
        (keep / "page.html").write_text(f"<!-- {driver.current_url} -->\n{driver.page_source}", encoding="utf-8")
    finally:
        driver.quit()
