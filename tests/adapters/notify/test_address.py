"""Where a webhook may connect: every spelling of a bad address is one bad address."""

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters._address import refusal

METADATA = [
    "169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
    "::169.254.169.254", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0:a9fe:a9fe", "2001:db8::5efe:a9fe:a9fe",
    "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3", "::", "2002:0:0::",
    str(ipaddress.ip_address((0x20010000 << 96) | (0xFFFFFFFF ^ 0xA9FEA9FE))),  # Teredo client
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "::1", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.1", "240.0.0.1",
    "255.255.255.255", "fc00::1", "fd12:3456::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:0a00:0001::", "::ffff:0:10.0.0.1",
    "100::1",
]  # fmt: skip
MULTICAST = ["224.0.0.1", "239.255.255.250", "ff02::1"]
PUBLIC = [
    "93.184.216.34", "1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::5db8:d822",
    "::ffff:93.184.216.34", "2002:5db8:d822::1",
]  # fmt: skip


@pytest.mark.parametrize("address", METADATA)
def test_metadata_and_link_local_are_refused_even_when_listed(address: str) -> None:
    assert refusal(address, allowed=False)
    assert "link-local or metadata" in refusal(address, allowed=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_unless_listed(address: str) -> None:
    assert refusal(address, allowed=False)
    assert refusal(address, allowed=True) == ""


@pytest.mark.parametrize("address", MULTICAST)
def test_multicast_is_always_refused(address: str) -> None:
    assert refusal(address, allowed=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_fine(address: str) -> None:
    assert refusal(address, allowed=False) == ""


@pytest.mark.parametrize("address", ["", "x", "127.1", "0x7f000001", "[::1]", "1.2.3.4.5"])
def test_what_is_no_numeric_address_is_refused(address: str) -> None:
    assert "not an address" in refusal(address, allowed=True)


@given(inner=st.ip_addresses(v=4))
def test_a_wrapped_address_is_refused_whenever_the_bare_one_is(
    inner: ipaddress.IPv4Address,
) -> None:
    low = int(inner)
    wrappers = [
        (0x0064FF9B << 96) | low,
        (0xFFFF << 32) | low,
        (0x2002 << 112) | (low << 80),
        (0xFFFF << 48) | low,
    ]
    for allowed in (False, True):
        if refusal(str(inner), allowed=allowed):
            for wrapped in wrappers:
                assert refusal(str(ipaddress.IPv6Address(wrapped)), allowed=allowed)


@pytest.mark.parametrize(
    "spelling",
    ["127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0x7f000001", "localhost", "127.0.0.1", "::1"],
)
async def test_spellings_do_not_matter_once_resolved(spelling: str) -> None:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(spelling, 80, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return  # this system refuses the spelling itself
    assert found
    assert all(refusal(str(sockaddr[0]), allowed=False) for *_, sockaddr in found)
