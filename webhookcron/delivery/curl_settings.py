"""The libcurl options that hold for every transfer."""

from __future__ import annotations

from typing import Any

import pycurl

from webhookcron.delivery.names import FRESH_SECONDS

# A connection idle for longer is not used again. Servers close idle ones after 5 s (Node, Apache) or more, and a
# job that fires just then would meet a connection that is being closed.
IDLE_REUSE_SECONDS = 4
# How long libcurl keeps the addresses it was told. It is told those of a name anew whenever they were looked up anew.
_DNS_CACHE_SECONDS = 5 * FRESH_SECONDS


def transfer_settings(user_agent: str, ca_file: str) -> dict[int, Any]:
    """The libcurl options that hold for every transfer."""
    return {
        pycurl.NOSIGNAL: 1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.PROXY: "",
        pycurl.NOPROXY: "*",
        pycurl.NETRC: pycurl.NETRC_IGNORED,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.PATH_AS_IS: 1,
        pycurl.ACCEPT_ENCODING: "gzip, deflate, br",
        pycurl.USERAGENT: user_agent,
        pycurl.CAINFO: ca_file,
        pycurl.MAXAGE_CONN: IDLE_REUSE_SECONDS,
        pycurl.DNS_CACHE_TIMEOUT: _DNS_CACHE_SECONDS,
    }
