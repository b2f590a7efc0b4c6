"""A real browser, and the platform that it looks at."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

WITHIN_SECONDS = 20.0

DESKTOP = (1280, 900)
PHONE = (390, 844)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Browser:
    """Chromium, with the words that the tests speak. Everything waits a while for what it looks for."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self._credentials = ("", "")
        self.resize(DESKTOP)

    # --- going and looking

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.url)

    def until(self, look: Callable[[], Any], what: str, within: float = WITHIN_SECONDS) -> Any:
        """The first true value of `look`."""
        wait = WebDriverWait(
            self.driver, within, 0.05, ignored_exceptions=(StaleElementReferenceException, AssertionError)
        )
        return wait.until(lambda _driver: look(), message=what)

    def find(self, selector: str, text: str = "") -> WebElement:
        """The first shown element of this CSS selector that holds `text`."""

        def look() -> WebElement | None:
            for element in self.driver.find_elements(By.CSS_SELECTOR, selector):
                if element.is_displayed() and text in element.text:
                    return element
            return None

        found: WebElement = self.until(look, f"{selector} with {text!r} on {self.path}")
        return found

    def all(self, selector: str) -> list[WebElement]:
        return [e for e in self.driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()]

    def sees(self, text: str, within: float = WITHIN_SECONDS) -> None:
        """Wait until the page shows `text`."""
        self.until(
            lambda: text in self.driver.find_element(By.TAG_NAME, "body").text,
            f"the page shows {text!r}",
            within,
        )

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    # --- doing

    def click(self, selector: str, text: str = "") -> None:
        element = self.find(selector, text)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def fill(self, name: str, value: str) -> None:
        """Type `value` into the field of that name in place of what it holds."""
        element = self.find(f"[name='{name}']:not([type=hidden])")
        element.clear()
        element.send_keys(value)

    def sign_in(self, email: str, password: str) -> None:
        self.open("/dashboard/login")
        self.fill("email", email)
        self.fill("password", password)
        self.click("button", "Sign in")
        self.sees("Overview")
        self._credentials = (email, password)

    def sign_in_again(self) -> None:
        """As the one who signed in last."""
        self.sign_in(*self._credentials)

    # --- how it looks

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def prefer(self, **features: str) -> None:
        """Emulate what a user prefers: `color_scheme="dark"`, `reduced_motion="reduce"`."""
        media = [{"name": f"prefers-{n.replace('_', '-')}", "value": v} for n, v in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def offline(self, away: bool) -> None:
        """Cut the network, or bring it back."""
        self.driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": away, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
        )

    def complaints(self) -> list[str]:
        """What the browser logged as an error since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def chromium() -> Iterator[Chrome]:
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver_binary = shutil.which("chromedriver")
    if binary is None or driver_binary is None:
        reason = "the browser tests need chromium and chromedriver (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    profile = Path(tempfile.mkdtemp(prefix="wc-browser-"))
    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(driver_binary))
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(scope="package")
def driver() -> Iterator[Chrome]:
    """One browser for all tests."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def shared_platform(platforms: Callable[..., Any]) -> Iterator[Any]:
    """One platform for all tests of this folder."""
    with platforms() as start:
        yield start()


@pytest.fixture
def browser(driver: Chrome, shared_platform: Any) -> Browser:
    """The browser, not signed in."""
    driver.get("about:blank")
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    found = Browser(driver, shared_platform.url)
    found.prefer(color_scheme="light", reduced_motion="no-preference")
    found.complaints()
    return found


@pytest.fixture
def user(browser: Browser, shared_platform: Any) -> Browser:
    """The browser, signed in as the admin."""
    password = (shared_platform.data_directory / "admin.password").read_text().strip()
    browser.sign_in("admin@localhost", password)
    return browser


@pytest.fixture
def new_job(shared_platform: Any) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes jobs that are gone after the test."""
    made: list[str] = []

    def make(**fields: Any) -> dict[str, Any]:
        fields = {"name": "A job", "webhookUrl": "http://127.0.0.1:9/none", **fields}
        if not fields.keys() & {"cronExpression", "interval", "runAt", "delayMs"}:
            fields["cronExpression"] = "0 9 1 1 *"
        job: dict[str, Any] = shared_platform.create_job(**fields)
        made.append(job["id"])
        return job

    yield make
    for job_id in made:
        shared_platform.request("DELETE", f"/api/cron/{job_id}?deleteLogs=true")
