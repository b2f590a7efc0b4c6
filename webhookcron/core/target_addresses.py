"""What kinds of IP addresses there are, as far as calling them matters.

The lists are the project's own, after the IANA special-purpose address registries (RFC 6890): the standard
library's `is_private` and `is_global` of Python 3.11 differ from them in many places.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

_BLOCKED_IPV4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "this-network"),  # RFC 791; Linux connects 0.0.0.0 to loopback
        ("10.0.0.0/8", "private"),  # RFC 1918
        ("100.64.0.0/10", "shared (carrier-grade NAT)"),  # RFC 6598
        ("127.0.0.0/8", "loopback"),  # RFC 1122
        ("169.254.0.0/16", "link-local"),  # RFC 3927
        ("172.16.0.0/12", "private"),  # RFC 1918
        ("192.0.0.0/24", "protocol-assignment"),  # RFC 6890
        ("192.0.2.0/24", "documentation"),  # RFC 5737
        ("192.88.99.0/24", "6to4 relay"),  # RFC 7526
        ("192.168.0.0/16", "private"),  # RFC 1918
        ("198.18.0.0/15", "benchmarking"),  # RFC 2544
        ("198.51.100.0/24", "documentation"),  # RFC 5737
        ("203.0.113.0/24", "documentation"),  # RFC 5737
        ("224.0.0.0/4", "multicast"),  # RFC 5771
        ("240.0.0.0/4", "reserved or broadcast"),  # RFC 1112, RFC 919
    )
)

_BLOCKED_IPV6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::1/128", "loopback"),  # RFC 4291
        ("::/96", "unspecified or IPv4-compatible"),  # RFC 4291
        ("::ffff:0:0/96", "IPv4-mapped"),  # RFC 4291; judged by the address it carries
        ("64:ff9b::/96", "NAT64"),  # RFC 6052
        ("64:ff9b:1::/48", "local NAT64"),  # RFC 8215
        ("100::/64", "discard"),  # RFC 6666
        ("2001::/32", "Teredo"),  # RFC 4380
        ("2001:db8::/32", "documentation"),  # RFC 3849
        ("2002::/16", "6to4"),  # RFC 3056
        ("3fff::/20", "documentation"),  # RFC 9637
        ("5f00::/16", "segment-routing"),  # RFC 9602
        ("fc00::/7", "private (unique local)"),  # RFC 4193
        ("fe80::/10", "link-local"),  # RFC 4291
        ("fec0::/10", "private (site-local)"),  # RFC 3879
        ("ff00::/8", "multicast"),  # RFC 4291
    )
)

# Where clouds hand out credentials to whoever can connect, and the links on which they live. The single
# addresses are those that lie outside of link-local: AWS and Google over IPv6, Alibaba, Azure and Oracle.
SENSITIVE_NETWORKS: tuple[IpNetwork, ...] = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
)

# All that IANA has given out for the public (RFC 4291 section 2.4); the rest is reserved, whatever it may come to be.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_IPV4_COMPATIBLE = IPv6Network("::/96")
_LOOPBACK_IPV4 = IPv4Network("127.0.0.0/8")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")


def unmapped(ip: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv4-mapped IPv6 address (`::ffff:a.b.c.d`) reaches; any other unchanged."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def blocked_network(ip: IpAddress) -> str | None:
    """What kind of non-public address this is, in a word or two; None for a public one."""
    if isinstance(ip, IPv4Address):
        return next((kind for network, kind in _BLOCKED_IPV4 if ip in network), None)
    special = next((kind for network, kind in _BLOCKED_IPV6 if ip in network), None)
    return "reserved" if special is None and ip not in _GLOBAL_UNICAST else special


def embedded_ipv4(ip: IpAddress) -> IPv4Address | None:
    """The IPv4 address that a translating or tunnelling IPv6 address leads to; None for any other.

    Read are NAT64 (RFC 6052), SIIT (RFC 2765), 6to4 (RFC 3056), Teredo clients (RFC 4380) and IPv4-compatible
    addresses (RFC 4291), save `::` and `::1`.
    """
    if not isinstance(ip, IPv6Address):
        return None
    if ip in _NAT64 or ip in _IPV4_TRANSLATED or (ip in _IPV4_COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    return None


def is_this_machine(ip: IpAddress) -> bool:
    """Whether connecting to the address reaches this machine's loopback, as unspecified ones do on Linux."""
    if isinstance(ip, IPv4Address):
        return ip in _LOOPBACK_IPV4 or ip in _THIS_NETWORK
    return int(ip) <= 1
