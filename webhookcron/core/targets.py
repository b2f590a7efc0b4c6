"""Which URLs, and which resolved addresses, the platform may call.

Two judgements with one set of rules: the early one over a URL's text, so that a mistake is told at once, and
the decisive one over the very address a socket is about to connect to. The early one alone protects nothing:
any name may resolve to anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NoReturn

from webhookcron.core.target_addresses import (
    SENSITIVE_NETWORKS,
    blocked_network,
    embedded_ipv4,
    is_this_machine,
    unmapped,
)
from webhookcron.core.target_urls import TargetUrl, UrlUnusable, normal_host, parse_target_url

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

HOSTS_VARIABLE = "WEBHOOKCRON_ALLOWED_TARGET_HOSTS"
NETWORKS_VARIABLE = "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS"
PORTS_VARIABLE = "WEBHOOKCRON_ALLOWED_TARGET_PORTS"

_LOOPBACKS = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a target may not be called.

    rule      url, scheme, credentials, host, port, address or platform: which rule forbids it.
    variable  the environment variable that would allow it; None where nothing does.
    message   the whole of it as a sentence for people.
    """

    rule: str
    variable: str | None
    message: str


class TargetRefused(ValueError):
    """The target may not be called; `refusal` says by which rule and what would allow it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class _HostRules:
    """The allowed host list, taken apart once."""

    exact: frozenset[str]
    suffixes: tuple[str, ...]
    everything: bool

    def admits(self, host: str) -> bool:
        return self.everything or host in self.exact or host.endswith(self.suffixes)


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """The operator's rules about targets. Built with `TargetPolicy.of`; immutable and cheap to ask.

    hosts          None = every public host.
    networks       ranges that are allowed although they are not public.
    ports          None = every port.
    platform       (address, port) of the platform's own stores and API: refused whatever else is allowed.
    is_own         whether an address is this machine's.
    own_ports      ports of the platform on this machine: refused at every address of it.
    """

    hosts: _HostRules | None = None
    networks: tuple[IpNetwork, ...] = ()
    ports: frozenset[int] | None = None
    platform: frozenset[tuple[IpAddress, int]] = field(default=frozenset())
    is_own: Callable[[IpAddress], bool] = field(default=is_this_machine, compare=False)
    own_ports: frozenset[int] = field(default=frozenset())

    @classmethod
    def of(
        cls,
        *,
        allowed_hosts: Iterable[str] | None = None,
        allowed_networks: Iterable[str | IpNetwork] = (),
        allowed_ports: Iterable[int] | None = None,
        always_refused: Iterable[tuple[str, int]] = (),
        is_own: Callable[[IpAddress], bool] = is_this_machine,
    ) -> TargetPolicy:
        """The policy of settings as they are written.

        allowed_hosts     None = every public host. Else only hosts of the list: `name` (which may then be
                          private too), `*.name` (names below it, public addresses only), `*` (all public).
        allowed_networks  CIDR ranges permitted although private. Link-local and metadata addresses need an
                          entry that lies within their own range (169.254.10.0/24, never 0.0.0.0/0).
        allowed_ports     None = all.
        always_refused    (IP address, port) of the platform itself. An address of this machine stands for all of
                          its addresses: what listens at one of them may listen at every one.
        is_own            tells which addresses those are; by default loopback and unspecified ones only.

        Raises ValueError, naming the bad entry, when one cannot be read.
        """
        networks = tuple(_network(str(entry)) for entry in allowed_networks)
        ports = None if allowed_ports is None else frozenset(allowed_ports)
        for port in ports or ():
            if not 1 <= port <= 65535:
                raise ValueError(f"{port} is not a port")
        platform = frozenset((unmapped(ip_address(address)), port) for address, port in always_refused)
        own_ports = frozenset(port for address, port in platform if is_own(address))
        hosts = None if allowed_hosts is None else _host_rules(allowed_hosts)
        return cls(hosts, networks, ports, platform, is_own, own_ports)

    def judge_url(self, url: str) -> TargetUrl:
        """The URL in its normal form, if it may be called as far as its text tells.

        Judged are syntax, scheme, credentials, port and host list, and the address when the host is a literal
        in any notation (or `localhost`). Raises TargetRefused otherwise.
        """
        try:
            target = parse_target_url(url)
        except UrlUnusable as error:
            raise TargetRefused(Refusal(error.rule, None, str(error))) from error
        if self.ports is not None and target.port not in self.ports:
            _refuse("port", PORTS_VARIABLE, f"port {target.port} is not among the allowed ports")
        if self.hosts is not None and not self.hosts.admits(target.host):
            _refuse("host", HOSTS_VARIABLE, f"the host {target.host} is not among the allowed hosts")
        if target.address is not None:
            refusal = self.judge_address(target.host, target.address, target.port)
        elif target.host == "localhost" or target.host.endswith(".localhost"):
            # RFC 6761 section 6.3: these names are loopback for everyone, so there is no need to wait.
            refusals = [self.judge_address(target.host, address, target.port) for address in _LOOPBACKS]
            refusal = refusals[0] if all(refusals) else None
        else:
            refusal = None
        if refusal is not None:
            raise TargetRefused(refusal)
        return target

    def judge_address(self, host: str, address: str | IpAddress, port: int) -> Refusal | None:
        """Why a socket for `host` must not connect to this address and port; None when it may.

        `host` is in normal form (as in a TargetUrl). An IPv4-mapped IPv6 address counts as the IPv4 address
        it reaches; the other forms that carry one (NAT64, 6to4, Teredo) must be allowed themselves and carry
        an address that is allowed.
        """
        given = _address(address)
        if given is None:
            return Refusal("address", None, f"{address} is not an IP address that can be judged")
        ip = unmapped(given)
        if self._is_platform(ip, port):
            return Refusal(
                "platform",
                None,
                f"{_shown(host, ip)} port {port} belongs to the platform itself, which is never a target",
            )
        carried = embedded_ipv4(ip)
        if carried is not None:
            refusal = self.judge_address(host, carried, port)
            if refusal is not None:
                return refusal
        for sensitive in SENSITIVE_NETWORKS:
            if ip in sensitive:
                return (
                    None
                    if self._named(ip, sensitive, host)
                    else self._address_refusal(host, ip, "an entry of its own")
                )
        if any(ip in network for network in self.networks):
            return None
        if self.hosts is not None and host in self.hosts.exact:
            return None
        if blocked_network(ip) is None:
            return None
        return self._address_refusal(host, ip, "an entry")

    def _is_platform(self, ip: IpAddress, port: int) -> bool:
        return (ip, port) in self.platform or (port in self.own_ports and self.is_own(ip))

    def _named(self, ip: IpAddress, sensitive: IpNetwork, host: str) -> bool:
        """Whether a sensitive address is allowed by an entry that can only mean it."""
        for network in self.networks:
            if ip in network and network.version == sensitive.version and _within(network, sensitive):
                return True
        return self.hosts is not None and host in self.hosts.exact and _address(host) == ip

    def _address_refusal(self, host: str, ip: IpAddress, needed: str) -> Refusal:
        found = next((network for network in SENSITIVE_NETWORKS if ip in network), None)
        kind = "link-local or metadata" if found is not None else blocked_network(ip) or "reserved"
        return Refusal(
            "address",
            NETWORKS_VARIABLE,
            f"{_shown(host, ip)} is not public ({kind}); {needed} in {NETWORKS_VARIABLE} would allow it",
        )


def _refuse(rule: str, variable: str, reason: str) -> NoReturn:
    raise TargetRefused(Refusal(rule, variable, f"{reason}; an entry in {variable} would allow it"))


def _shown(host: str, ip: IpAddress) -> str:
    return str(ip) if host == str(ip) else f"{host} resolves to {ip}, which"


def _address(value: str | IpAddress) -> IpAddress | None:
    if not isinstance(value, str):
        return value
    try:
        # A zone index ("fe80::1%eth0") names an interface of this machine, not another address.
        return ip_address(value.partition("%")[0])
    except ValueError:
        return None


def _network(entry: str) -> IpNetwork:
    try:
        network = ip_network(entry.strip())
    except ValueError as error:
        raise ValueError(f"{entry.strip()!r} is not an IP network such as 10.0.0.0/8: {error}") from error
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), network.prefixlen - 96))
    return network


def _within(network: IpNetwork, outer: IpNetwork) -> bool:
    return network.network_address in outer and network.broadcast_address in outer


def _host_rules(entries: Iterable[str]) -> _HostRules:
    exact: set[str] = set()
    suffixes: list[str] = []
    everything = False
    for entry in entries:
        text = entry.strip()
        if text == "*":
            everything = True
            continue
        name = text.removeprefix("*.")
        try:
            # An IPv6 address needs its brackets only in URLs.
            host = normal_host(f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name)
        except UrlUnusable as error:
            raise ValueError(f"{text!r} is not a host name, '*.' and a host name, or '*': {error}") from error
        if text.startswith("*."):
            suffixes.append("." + host)
        else:
            exact.add(host)
    return _HostRules(frozenset(exact), tuple(suffixes), everything)
