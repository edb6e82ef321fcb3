"""Which addresses the API may listen on: loopback, unless others are permitted.

The API speaks no TLS, so an address that other machines reach is refused where the configuration
is read, before anything is written, and again where it is bound.
"""

import ipaddress


def listening(host: str, *, allow_remote: bool = False) -> str:
    """Return the address to bind.

    Args:
        host: An IP address, or `localhost`.
        allow_remote: Permit an address that other machines can reach.

    Raises:
        ValueError: It is no address, or others can reach it and that was not permitted; the
            message says what to write instead.

    >>> listening("localhost")
    '127.0.0.1'
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise ValueError(
            f"{host!r} is not an IP address: write 127.0.0.1, or the address to bind"
        ) from error
    if not (address.is_loopback or allow_remote):
        raise ValueError(
            f"{host} can be reached from other machines and the API speaks no TLS: "
            "write 127.0.0.1, and put a TLS proxy or a tunnel in front of it"
        )
    return str(address)
