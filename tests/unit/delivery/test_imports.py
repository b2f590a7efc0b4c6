"""Who may know libcurl."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "webhookcron"


def test_only_the_transport_and_its_helpers_import_pycurl() -> None:
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(?:import|from) pycurl", path.read_text(), re.MULTILINE)
    }
    assert "delivery/transport.py" in importers
    assert {
        name for name in importers if not re.fullmatch(r"delivery/(transport|curl_\w+)\.py", name)
    } == set()
