"""Jobs."""

from __future__ import annotations

import pytest

from webhookcron.core.jobs import host_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.com./hook", "example.com"),
        ("https://example.com:8443/hook", "example.com"),
        ("http://0x1.1.1.1/", "1.1.1.1"),
        ("http://16843009/", "1.1.1.1"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://[2606:4700::0:1111]:8080/", "2606:4700::1111"),
        ("no url", ""),
    ],
)
def test_a_host_is_the_same_in_every_notation(url: str, host: str) -> None:
    assert host_of(url) == host
