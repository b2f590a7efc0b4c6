"""Which targets may be called: URLs by their text, addresses at the socket."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.target_addresses import is_this_machine
from webhookcron.core.target_urls import parse_target_url
from webhookcron.core.targets import TargetPolicy, TargetRefused

NETWORKS = "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS"
HOSTS = "WEBHOOKCRON_ALLOWED_TARGET_HOSTS"
PORTS = "WEBHOOKCRON_ALLOWED_TARGET_PORTS"

# First and last address of every range that is never a public target.
NOT_PUBLIC = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1111",
    "2001:200::1",
    "2003::1",
    "::ffff:1.1.1.1",
]


def _refused_url(policy: TargetPolicy, url: str) -> tuple[str, str | None]:
    with pytest.raises(TargetRefused) as caught:
        policy.judge_url(url)
    return caught.value.refusal.rule, caught.value.refusal.variable


def _rule(policy: TargetPolicy, address: str, *, host: str = "name.example", port: int = 443) -> str | None:
    refusal = policy.judge_address(host, address, port)
    return None if refusal is None else refusal.rule


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_refused_from_first_to_last(network: str) -> None:
    for address in (ip_network(network)[0], ip_network(network)[-1]):
        refusal = TargetPolicy.of().judge_address("name.example", address, 443)
        assert refusal is not None
        assert (refusal.rule, refusal.variable) == ("address", NETWORKS)
        assert NETWORKS in refusal.message


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed_up_to_the_edges_of_the_others(address: str) -> None:
    assert _rule(TargetPolicy.of(), address) is None


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::1.1.1.1",
        "2002:7f00:1::",
        "2002:101:101::1",
        "2001:0:1.1.1.1".replace("1.1.1.1", "0:0:0:0:80ff:fffe"),
        "fe80::1%eth0",
        "::ffff:0:127.0.0.1",
        "::ffff:0:1.1.1.1",
        "1fff:ffff::1",
        "4000::1",
        "fbff::1",
    ],
)
def test_addresses_that_carry_or_reach_another_one_or_are_reserved_are_refused(address: str) -> None:
    assert _rule(TargetPolicy.of(), address) == "address"


@given(st.integers(0, 2**32 - 1))
def test_a_mapped_address_is_judged_as_the_one_it_carries(number: int) -> None:
    plain = IPv4Address(number)
    policy = TargetPolicy.of(allowed_networks=["10.0.0.0/8"])
    assert _rule(policy, f"::ffff:{plain}") == _rule(policy, str(plain))


def test_what_is_no_address_is_refused() -> None:
    assert _rule(TargetPolicy.of(), "/run/socket") == "address"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/A?b=c#d", "https://example.com/A?b=c"),
        ("http://example.com.:8080", "http://example.com:8080/"),
        ("http://example.com?x=1", "http://example.com/?x=1"),
        ("https://exämple.de/ü?ä=%20", "https://xn--exmple-cua.de/%C3%BC?%C3%A4=%20"),
        ("https://ＥＸＡＭＰＬＥ。com/", "https://example.com/"),
        ("http://a_b.example/", "http://a_b.example/"),
        ("http://example.com:/", "http://example.com/"),
        ("http://[2606:4700::1111]:8080/x", "http://[2606:4700::1111]:8080/x"),
        ("http://[2606:4700:0:0::1111]/", "http://[2606:4700::1111]/"),
        ("http://0x01010101/", "http://1.1.1.1/"),
        ("http://1.1.257/", "http://1.1.1.1/"),
        ("http://example.com/a/../b", "http://example.com/a/../b"),
        ('http://example.com/"<>{}^`', "http://example.com/%22%3C%3E%7B%7D%5E%60"),
    ],
)
def test_a_url_comes_out_in_one_normal_form(url: str, text: str) -> None:
    assert TargetPolicy.of().judge_url(url).text == text


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("", "url"),
        ("example.com", "url"),
        ("//example.com/", "url"),
        ("http://", "url"),
        ("http:///path", "url"),
        ("http:example.com", "url"),
        ("http://exa mple.com/", "url"),
        ("http://example.com/a b", "url"),
        ("http://example.com/\r\nX: y", "url"),
        ("http://example.com\\@127.0.0.1/", "url"),
        ("http://example.com\t/", "url"),
        ("http://%31%32%37.0.0.1/", "url"),
        ("http://a..b/", "url"),
        ("http://-a.example/", "url"),
        (f"http://{'a' * 64}.example/", "url"),
        (f"http://{'a.' * 127}example/", "url"),
        ("http://example.com/" + "a" * 8000, "url"),
        ("http://example.com/\ud800", "url"),
        ("http://\udfff.example/", "url"),
        ("http://example.com:0/", "url"),
        ("http://example.com:65536/", "url"),
        ("http://example.com:999999/", "url"),
        ("http://example.com:8a/", "url"),
        ("http://example.com:80:80/", "url"),
        ("http://[::1", "url"),
        ("http://[fe80::1%25eth0]/", "url"),
        ("http://[::1]x/", "url"),
        ("http://1.2.3.4.5/", "url"),
        ("http://256.256.256.256/", "url"),
        ("http://4294967296/", "url"),
        ("http://09.1.1.1/", "url"),
        ("http://☃.example/\x00", "url"),
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "scheme"),
        ("http://user:password@example.com/", "credentials"),
        ("http://user@example.com/", "credentials"),
        ("http://@example.com/", "credentials"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused(url: str, rule: str) -> None:
    assert _refused_url(TargetPolicy.of(), url) == (rule, None)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "１２７.０.０.１",
        "①②⑦.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "0",
        "0.0.0.0",
        "[::]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.1",
        "192.168.1.1",
    ],
)
def test_a_literal_of_a_private_address_is_refused_in_every_notation(host: str) -> None:
    assert _refused_url(TargetPolicy.of(), f"http://{host}/") == ("address", NETWORKS)


@given(number=st.integers(0, 2**32 - 1), data=st.data())
def test_every_notation_of_an_ipv4_address_is_the_same_address(number: int, data: st.DataObject) -> None:
    octets = number.to_bytes(4, "big")
    parts = data.draw(st.integers(1, 4))
    numbers = [*octets[: parts - 1], int.from_bytes(octets[parts - 1 :], "big")]
    notations = data.draw(
        st.lists(st.sampled_from(["{}", "0{:o}", "0x{:x}"]), min_size=parts, max_size=parts)
    )
    host = ".".join(form.format(value) for form, value in zip(notations, numbers, strict=True))
    assert parse_target_url(f"http://{host}/").address == IPv4Address(number)


@given(st.text(max_size=60))
def test_any_text_is_judged_without_another_error(text: str) -> None:
    for url in (text, f"http://{text}/", f"http://example.com/{text}"):
        try:
            target = TargetPolicy.of().judge_url(url)
        except TargetRefused:
            continue
        assert target.text.isascii()
        assert TargetPolicy.of().judge_url(target.text) == target


class TestAllowedHosts:
    LISTED = TargetPolicy.of(allowed_hosts=["hooks.example.com", "*.example.org", "10.0.0.5"])

    @pytest.mark.parametrize(
        "host", ["hooks.example.com", "HOOKS.example.com.", "a.example.org", "a.b.example.org"]
    )
    def test_a_listed_host_is_allowed(self, host: str) -> None:
        self.LISTED.judge_url(f"https://{host}/")

    @pytest.mark.parametrize(
        "host", ["example.com", "example.org", "badexample.org", "hooks.example.com.evil.example", "1.1.1.1"]
    )
    def test_any_other_host_is_refused(self, host: str) -> None:
        assert _refused_url(self.LISTED, f"https://{host}/") == ("host", HOSTS)

    def test_a_name_without_wildcard_may_be_private(self) -> None:
        assert _rule(self.LISTED, "10.1.2.3", host="hooks.example.com") is None

    def test_a_name_below_a_wildcard_may_not(self) -> None:
        assert _rule(self.LISTED, "10.1.2.3", host="a.example.org") == "address"

    def test_a_listed_literal_may_be_private(self) -> None:
        assert self.LISTED.judge_url("http://10.0.0.5/").host == "10.0.0.5"

    @pytest.mark.parametrize("entry", ["fd00::5", "[fd00::5]", "FD00:0::0005"])
    def test_a_listed_ipv6_literal_may_be_written_with_brackets_or_without(self, entry: str) -> None:
        policy = TargetPolicy.of(allowed_hosts=[entry])
        assert policy.judge_url("http://[fd00::5]:8080/").host == "fd00::5"
        assert _refused_url(policy, "http://[fd00::6]/") == ("host", HOSTS)

    def test_a_star_means_all_public_hosts(self) -> None:
        policy = TargetPolicy.of(allowed_hosts=["*", "internal"])
        assert policy.judge_url("https://anything.example/").host == "anything.example"
        assert _rule(policy, "10.1.2.3", host="anything.example") == "address"
        assert _rule(policy, "10.1.2.3", host="internal") is None

    def test_an_empty_list_allows_nothing(self) -> None:
        assert _refused_url(TargetPolicy.of(allowed_hosts=[]), "https://example.com/")[0] == "host"

    def test_a_listed_name_does_not_open_link_local_addresses(self) -> None:
        assert _rule(self.LISTED, "169.254.169.254", host="hooks.example.com") == "address"

    def test_a_listed_link_local_literal_is_its_own_entry(self) -> None:
        policy = TargetPolicy.of(allowed_hosts=["169.254.10.1"])
        assert policy.judge_url("http://169.254.10.1/").host == "169.254.10.1"

    def test_entries_are_compared_in_normal_form(self) -> None:
        policy = TargetPolicy.of(allowed_hosts=["EXÄMPLE.de.", " [::1] "])
        assert policy.judge_url("http://xn--exmple-cua.de/").host == "xn--exmple-cua.de"
        assert policy.judge_url("http://[0::1]/").host == "::1"

    @pytest.mark.parametrize("entry", ["", "*.", "a.*.example", "http://a.example", "a b", "*example.com"])
    def test_an_unreadable_entry_is_refused_by_name(self, entry: str) -> None:
        with pytest.raises(ValueError, match="not a host name"):
            TargetPolicy.of(allowed_hosts=[entry])


class TestAllowedNetworks:
    def test_a_permitted_range_may_be_called(self) -> None:
        policy = TargetPolicy.of(allowed_networks=["10.1.0.0/16", "fd12::/16"])
        assert _rule(policy, "10.1.2.3") is None
        assert _rule(policy, "fd12::1") is None
        assert _rule(policy, "10.2.0.0") == "address"

    @pytest.mark.parametrize(
        "address",
        ["169.254.169.254", "fe80::1", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"],
    )
    def test_a_wide_range_does_not_open_link_local_and_metadata_addresses(self, address: str) -> None:
        policy = TargetPolicy.of(allowed_networks=["0.0.0.0/0", "::/0"])
        refusal = policy.judge_address("name.example", address, 80)
        assert refusal is not None
        assert "an entry of its own" in refusal.message

    def test_the_metadata_address_that_lies_among_public_ones_is_refused(self) -> None:
        assert _rule(TargetPolicy.of(), "168.63.129.16") == "address"

    def test_a_range_within_link_local_opens_itself_only(self) -> None:
        policy = TargetPolicy.of(allowed_networks=["169.254.10.0/24", "fe80::/64"])
        assert _rule(policy, "169.254.10.7") is None
        assert _rule(policy, "fe80::7") is None
        assert _rule(policy, "169.254.169.254") == "address"

    def test_a_carrying_address_needs_itself_and_the_carried_one_allowed(self) -> None:
        nat64 = "64:ff9b::10.0.0.1"
        assert _rule(TargetPolicy.of(allowed_networks=["64:ff9b::/96"]), nat64) == "address"
        assert _rule(TargetPolicy.of(allowed_networks=["10.0.0.0/8"]), nat64) == "address"
        assert _rule(TargetPolicy.of(allowed_networks=["64:ff9b::/96", "10.0.0.0/8"]), nat64) is None
        assert _rule(TargetPolicy.of(allowed_networks=["64:ff9b::/96"]), "64:ff9b::1.1.1.1") is None

    def test_a_mapped_range_counts_as_the_ipv4_range(self) -> None:
        assert _rule(TargetPolicy.of(allowed_networks=["::ffff:10.0.0.0/104"]), "10.1.1.1") is None

    def test_networks_may_be_given_as_objects(self) -> None:
        assert _rule(TargetPolicy.of(allowed_networks=[IPv4Network("10.0.0.0/8")]), "10.1.1.1") is None

    @pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "10.0.0.1/8", "example.com"])
    def test_an_unreadable_range_is_refused_by_name(self, entry: str) -> None:
        with pytest.raises(ValueError, match="not an IP network"):
            TargetPolicy.of(allowed_networks=[entry])

    def test_localhost_is_allowed_early_when_one_of_its_addresses_is(self) -> None:
        assert TargetPolicy.of(allowed_networks=["::1/128"]).judge_url("http://localhost:1/").port == 1


class TestAllowedPorts:
    def test_only_listed_ports_may_be_called(self) -> None:
        policy = TargetPolicy.of(allowed_ports=[443, 8443])
        assert policy.judge_url("https://example.com/").port == 443
        assert policy.judge_url("https://example.com:8443/").port == 8443
        assert _refused_url(policy, "http://example.com/") == ("port", PORTS)

    @pytest.mark.parametrize("port", [0, 65536, -1])
    def test_what_is_no_port_is_refused(self, port: int) -> None:
        with pytest.raises(ValueError, match="not a port"):
            TargetPolicy.of(allowed_ports=[port])


class TestThePlatformItself:
    POLICY = TargetPolicy.of(
        allowed_hosts=["*", "mongo.internal", "127.0.0.1"],
        allowed_networks=["0.0.0.0/0", "::/0"],
        always_refused=[("10.0.0.9", 27017), ("127.0.0.1", 6379), ("::ffff:10.0.0.8", 5000)],
    )

    @pytest.mark.parametrize(
        ("address", "port"),
        [
            ("10.0.0.9", 27017),
            ("::ffff:10.0.0.9", 27017),
            ("10.0.0.8", 5000),
            ("127.0.0.1", 6379),
            ("127.0.0.2", 6379),
            ("0.0.0.0", 6379),
            ("::1", 6379),
            ("::", 6379),
            ("64:ff9b::10.0.0.9", 27017),
        ],
    )
    def test_its_addresses_are_refused_whatever_is_allowed(self, address: str, port: int) -> None:
        refusal = self.POLICY.judge_address("mongo.internal", ip_address(address), port)
        assert refusal is not None
        assert (refusal.rule, refusal.variable) == ("platform", None)

    def test_other_ports_of_the_same_machine_are_not(self) -> None:
        assert _rule(self.POLICY, "10.0.0.9", port=8080) is None
        assert _rule(self.POLICY, "127.0.0.1", port=8080) is None

    @pytest.mark.parametrize("listens_at", ["127.0.0.1", "0.0.0.0", "::", "10.0.0.9"])
    def test_what_listens_on_this_machine_is_refused_at_every_address_of_it(self, listens_at: str) -> None:
        policy = TargetPolicy.of(
            allowed_networks=["0.0.0.0/0", "::/0"],
            always_refused=[(listens_at, 5000)],
            is_own=lambda ip: is_this_machine(ip) or str(ip) in ("10.0.0.9", "fd00::9"),
        )
        for address in ("127.0.0.1", "::1", "10.0.0.9", "fd00::9", "::ffff:10.0.0.9"):
            assert _rule(policy, address, port=5000) == "platform"
            assert _rule(policy, address, port=5001) is None
        assert _rule(policy, "10.0.0.8", port=5000) is None

    def test_a_literal_of_its_address_is_refused_early(self) -> None:
        assert _refused_url(self.POLICY, "http://127.1:6379/") == ("platform", None)
