"""Where an adapter may connect: the check against server-side request forgery.

An address is judged after resolving, every answer of it, and the connection goes to the address
that was judged. Spellings (octal, decimal, dotless, full-width, mapped) do not matter then. An
address that carries another inside (IPv4-mapped, 6to4, Teredo, NAT64) is judged by both.
Python's `is_global` alone lets NAT64 (64:ff9b::a9fe:a9fe is 169.254.169.254) through.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Never, whatever the configuration allows: services that hand out a machine's credentials.
_METADATA: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local: AWS, Google, Azure, OpenStack, DigitalOcean
        "fe80::/10",
        "fd00:ec2::/32",  # AWS over IPv6
        "fd20:ce::254/128",  # Google over IPv6
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's host agent; looks global
        "192.0.0.192/32",  # Oracle
        "0.0.0.0/8",
        "::/128",
    )
)
# IPv6 networks whose last 32 bits are an IPv4 address: NAT64 (RFC 6052, 8215), SIIT (RFC 2765).
_CARRIERS: Final = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")
)
_COMPATIBLE: Final = ipaddress.ip_network("::/96")  # RFC 4291 2.5.5.1, deprecated
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214 6.1


def refusal(address: str, *, allowed: bool) -> str:
    """Return why one may not connect to an address, empty if one may.

    Args:
        address: A numeric address, as a resolver answers it.
        allowed: The host and port are on the operator's list, so private addresses are fine.

    >>> refusal("93.184.216.34", allowed=False)
    ''
    >>> refusal("::ffff:10.0.0.1", allowed=False)
    '::ffff:10.0.0.1 is private or reserved'
    >>> refusal("64:ff9b::a9fe:a9fe", allowed=True)
    '64:ff9b::a9fe:a9fe is a link-local or metadata address'
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"{address[:60]!r} is not an address"
    for inner in _with_inner(parsed):
        if any(inner.version == net.version and inner in net for net in _METADATA):
            return f"{address} is a link-local or metadata address"
        if inner.is_multicast:
            return f"{address} is a multicast address"
        if not allowed and not _is_public(inner):
            return f"{address} is private or reserved"
    return ""


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if _embedded(address):  # judged by what it carries; a wrapper is never global itself
            return True
        if address.is_site_local:  # fec0::/10, deprecated; `is_global` says yes
            return False
    return address.is_global and not address.is_reserved


def _with_inner(address: IPAddress) -> Iterator[IPAddress]:
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        yield from _embedded(address)


def _embedded(address: ipaddress.IPv6Address) -> list[IPAddress]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    found: list[IPAddress | None] = [address.ipv4_mapped, address.sixtofour]
    found += address.teredo or ()
    low = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    carries = (
        any(address in net for net in _CARRIERS)
        or (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP
        or (address in _COMPATIBLE and int(address) > 1)
    )
    if carries:
        found.append(low)
    return [inner for inner in found if inner is not None]
