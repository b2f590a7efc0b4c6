"""Where one is sent after signing in: nowhere but the dashboard."""

import pytest

from webhookcron.dashboard.safe_paths import local_path


@pytest.mark.parametrize(
    "path",
    ["/dashboard", "/dashboard/", "/dashboard/jobs?status=active&page=2", "/dashboard/jobs/abc/edit#x"],
)
def test_pages_of_the_dashboard_pass(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "/",
        "/api/cron",
        "/dashboardish",
        "dashboard/jobs",
        "//evil.example",
        "//evil.example/dashboard",
        "/\\evil.example/dashboard",
        "\\\\evil.example/dashboard",
        "/\t/evil.example/dashboard",
        "\t//evil.example/dashboard",
        " /dashboard",
        "http://evil.example/dashboard",
        "https:/dashboard",
        "https:evil.example",
        "javascript:alert(1)//dashboard",
        "data:text/html,/dashboard",
        "/dashboard/../../evil",
        "/dashboard\r\nLocation: https://evil.example",
        "/dashboard/\u202e",
        "//[",
        "/dashboard/" + "a" * 3000,
    ],
)
def test_everything_else_does_not(path: str | None) -> None:
    assert local_path(path) is None
