"""The documentation of the API in a browser: log in, and try an operation."""

from __future__ import annotations

import json
from typing import Any

from selenium.webdriver.common.keys import Keys


def tried_out(browser: Any, operation: str, body: dict[str, Any] | None = None) -> str:
    """Open an operation, try it out with `body`, and give what the page shows of its answer."""
    place = f"#operations-{operation}"
    browser.click(f"{place} .opblock-summary-control")
    browser.click(f"{place} .try-out__btn")
    if body is not None:
        field = browser.find(f"{place} textarea.body-param__text")
        field.send_keys(Keys.CONTROL + "a" + Keys.NULL, json.dumps(body))
    browser.click(f"{place} .execute")
    return str(browser.find(f"{place} .live-responses-table").text)


def test_one_can_log_in_on_the_page_and_try_operations(browser: Any, shared_platform: Any) -> None:
    password = (shared_platform.data_directory / "admin.password").read_text().strip()
    browser.open("/api-docs")
    assert "whr_" in tried_out(browser, "Accounts-login", {"email": "admin@localhost", "password": password})
    answer = tried_out(browser, "Accounts-me")
    assert '"email": "admin@localhost"' in answer
    assert "200" in answer
    assert browser.complaints() == []
