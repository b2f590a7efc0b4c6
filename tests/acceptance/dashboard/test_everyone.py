"""The dashboard for everyone: on a phone, by keyboard, with a screen reader, in the dark, without motion, safely."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from axe_selenium_python import Axe
from selenium.webdriver import Keys

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

PHONE = (390, 844)
GRAVE = ("serious", "critical")

MISTAKEN = frozenset({"dlitem"})
"""Rules of this axe-core that HTML has overtaken: groups in a `dl` may stand in a `div` (HTML, section 4.4.9)."""


@pytest.fixture
def pages(user: Any, new_job: Callable[..., Any], receiver: Any, shared_platform: Any) -> dict[str, str]:
    """The addresses of all pages by name, with something to see on each."""
    receiver.status = 500
    job = new_job(
        name="Weekly report for the whole team",
        cronExpression="30 2 * * *",
        timezone="Europe/Berlin",
        tags=["reports", "billing"],
        webhookUrl=receiver.url,
        retryDelaysMs=[600_000],
    )
    made = shared_platform.request("POST", f"/api/cron/{job['id']}/trigger").json()["execution"]["id"]
    user.until(lambda: receiver.calls, "something has run")
    one = f"/dashboard/jobs/{job['id']}"
    return {
        "overview": "/dashboard/",
        "overview of a week": "/dashboard/?period=week",
        "jobs": "/dashboard/jobs",
        "no jobs": "/dashboard/jobs?tag=nothing",
        "job": one,
        "edit": f"{one}/edit",
        "new": "/dashboard/jobs/new",
        "backfill": f"{one}/backfill",
        "executions": "/dashboard/executions",
        "execution": f"/dashboard/executions/{made}",
        "account": "/dashboard/account",
        "users": "/dashboard/users",
        "audit": "/dashboard/audit",
        "missing": "/dashboard/nothing",
    }


def grave_findings(user: Any, rules: Sequence[str] = ()) -> list[tuple[str, list[str]]]:
    """What axe-core finds on the present page, by these rules or all, that keeps people from using it."""
    axe = Axe(user.driver)
    axe.inject()
    options = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    return [
        (violation["id"], [node["html"][:160] for node in violation["nodes"]][:5])
        for violation in axe.run(options=json.dumps(options))["violations"]
        if violation["impact"] in GRAVE and violation["id"] not in MISTAKEN
    ]


def test_axe_finds_nothing_grave(user: Any, pages: dict[str, str]) -> None:
    found: dict[str, Any] = {}
    for name, path in pages.items():
        user.prefer(color_scheme="light", reduced_motion="reduce")
        user.open(path)
        user.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
        findings = grave_findings(user)
        user.prefer(color_scheme="dark", reduced_motion="reduce")
        # Only colours differ between the two.
        if findings := [*findings, *grave_findings(user, ["color-contrast"])]:
            found[name] = findings
    assert found == {}


def test_axe_finds_nothing_grave_at_the_login(browser: Any) -> None:
    browser.open("/dashboard/login")
    browser.click("summary", "API key")
    assert grave_findings(browser) == []


def test_no_page_meets_the_content_security_policy(user: Any, pages: dict[str, str]) -> None:
    for path in [*pages.values(), "/api-docs"]:
        user.open(path)
        user.find("body")
    user.until(lambda: user.run("return document.readyState") == "complete", "the last page is there")
    complaints = [line for line in user.complaints() if "/nothing" not in line]
    assert complaints == []


CUT_OFF = """
    const limit = document.documentElement.clientWidth + 1;
    const meant = 'pre, pre *, textarea, input, select, .hidden, dialog, dialog *, svg, svg *';
    return [...document.querySelectorAll('main *')].filter((element) => {
      const box = element.getBoundingClientRect();
      if (!box.width || !box.height || element.matches(meant)) return false;
      const style = getComputedStyle(element);
      const shortened = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none';
      const cuts = style.overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1;
      return box.right > limit || (cuts && !shortened);
    }).slice(0, 3).map((element) => element.outerHTML.slice(0, 120))
"""
"""What stands out of the page, or has to be scrolled to be seen, other than text that ends in an ellipsis."""


def test_nothing_is_cut_off_at_any_width(
    user: Any, pages: dict[str, str], new_job: Callable[..., Any], receiver: Any
) -> None:
    long = new_job(
        name="Averyveryverylongnamewithoutanyspaces" * 6,
        cronExpression="0 9 * * 1-5",
        timezone="America/Argentina/ComodRivadavia",
        tags=["t" * 50, *(f"number-{number}" for number in range(19))],
        description="long " * 300,
        webhookUrl=f"{receiver.url}/{'long/' * 60}",
    )
    one = f"/dashboard/jobs/{long['id']}"
    cut: dict[str, Any] = {}
    for path in [
        *pages.values(),
        one,
        f"{one}/edit",
        f"{one}/backfill",
        f"/dashboard/executions?job={long['id']}",
    ]:
        user.open(path)
        for width in (1280, 1100, 820, PHONE[0]):
            user.resize((width, 900))
            if found := user.run(CUT_OFF):
                cut[f"{path} at {width}"] = found
    assert cut == {}


def test_the_menu_of_a_phone(user: Any, pages: dict[str, str]) -> None:
    user.resize(PHONE)
    user.open("/dashboard/")
    assert not user.all(".nav a")
    user.click(".menu summary")
    user.click(".nav a", "Jobs")
    user.sees("Weekly report for the whole team")


def test_a_job_is_made_by_keyboard_alone(user: Any, shared_platform: Any) -> None:
    def press(*keys: str) -> None:
        for key in keys:
            user.driver.switch_to.active_element.send_keys(key)

    def tab_to(is_it: str, back: bool = False) -> None:
        for _ in range(80):
            if user.run(f"const e = document.activeElement; return {is_it}"):
                return
            press(Keys.SHIFT + Keys.TAB if back else Keys.TAB)
        pytest.fail(f"the keyboard does not reach {is_it}")

    user.open("/dashboard/")
    press(Keys.TAB)
    assert user.driver.switch_to.active_element.text == "Skip to content"
    press(Keys.ENTER)
    tab_to("e.matches('a') && e.textContent.includes('New job')")
    press(Keys.ENTER)
    user.sees("Every so often")
    tab_to("e.name === 'name'")
    press("By keyboard")
    tab_to("e.name === 'schedule_type'")
    press(Keys.ARROW_RIGHT)
    user.until(lambda: user.all("[name=interval_value]"), "the fields of an interval")
    tab_to("e.name === 'interval_value'")
    press("7")
    tab_to("e.name === 'webhook_url'")
    press("http://127.0.0.1:9/none", Keys.ENTER)
    user.sees("The job is saved.")
    job_id = user.path.rpartition("/")[2]
    tab_to("e.textContent.trim() === 'Delete'")
    press(Keys.ENTER)
    user.find("#confirm", "This cannot be undone.")
    press(Keys.ESCAPE)
    user.until(lambda: not user.all("#confirm"), "Escape closes the question")
    assert user.driver.switch_to.active_element.text == "Delete", "the focus is where it was"
    press(Keys.ENTER)
    tab_to("'confirmYes' in e.dataset")
    press(Keys.ENTER)
    user.sees("Deleted “By keyboard”.")
    assert shared_platform.request("GET", f"/api/cron/{job_id}").status_code == 404


def test_where_the_focus_is_can_be_seen(user: Any) -> None:
    user.open("/dashboard/jobs/new")
    user.driver.switch_to.active_element.send_keys(Keys.TAB, Keys.TAB)
    style = user.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"


def test_nothing_moves_for_those_who_asked_for_stillness(user: Any) -> None:
    moving = """
        return [...document.querySelectorAll('*')].filter((e) => {
          const style = getComputedStyle(e);
          return style.animationName !== 'none' || style.transitionDuration !== '0s';
        }).length
    """
    user.open("/dashboard/executions")
    user.find("[data-live-state]", "Live")
    assert user.run(moving) > 0
    user.prefer(reduced_motion="reduce")
    assert user.run(moving) == 0


def test_the_theme_follows_the_system_until_one_is_chosen(user: Any) -> None:
    def background() -> str:
        return str(user.run("return getComputedStyle(document.body).backgroundColor"))

    user.open("/dashboard/")
    light = background()
    user.prefer(color_scheme="dark")
    dark = background()
    assert light != dark
    user.click("[data-theme-switch]")
    assert user.find("[data-theme-switch]").text == "Theme: light"
    assert background() == light
    user.open("/dashboard/jobs")
    assert background() == light, "the choice is kept"


def test_times_are_in_the_zone_of_the_browser_from_the_first_page_on(
    user: Any, new_job: Callable[..., Any]
) -> None:
    job = new_job(name="In summer", cronExpression="0 9 1 7 *", timezone="UTC")
    user.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    user.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    try:
        user.sign_in_again()
        user.open("/dashboard/jobs?sort=next")
        row = user.find(f"[data-job='{job['id']}']")
        assert "07-01 18:00:00" in row.text
        assert "07-01 09:00:00.000 UTC" in row.find_element("css selector", "time").get_attribute("title")
    finally:
        user.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_countdowns_count(user: Any, new_job: Callable[..., Any]) -> None:
    new_job(name="Soon", cronExpression="*/30 * * * * *", maxRetries=0)
    user.open("/dashboard/jobs")
    first = user.find("[data-until]").text
    user.until(lambda: user.find("[data-until]").text != first, "another second")


def test_a_page_that_stays_open_tells_the_next_run_again(
    user: Any, receiver: Any, new_job: Callable[..., Any]
) -> None:
    job = new_job(name="Again and again", cronExpression="*/3 * * * * *", webhookUrl=receiver.url)
    user.open("/dashboard/jobs")
    user.run("window.same = true")

    def next_run() -> str:
        cell = user.find(f"[data-job='{job['id']}'] [data-until]")
        return str(cell.get_attribute("data-until"))

    first = next_run()
    user.until(lambda: next_run() > first, "a later fire time")
    user.until(lambda: user.all(f"[data-job='{job['id']}'] .dot.is-success"), "its run among the latest ones")
    assert user.run("return window.same"), "without loading the page again"
