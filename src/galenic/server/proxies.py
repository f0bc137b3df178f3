"""Trusted proxies and the client address that they report."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from galenic.errors import ConfigurationError

FORWARDED_FOR = re.compile(r"""(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,\s]*)""", re.IGNORECASE)  # RFC 7239, 4
MOST_HOPS = 32  # number of entries of a header that are read, from the right


class TrustedProxies:
    """Networks of proxies whose X-Forwarded-For or Forwarded header is trusted. Without any, these headers are ignored."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self.networks: list[IPv4Network | IPv6Network] = []
        for text in networks:
            try:
                self.networks.append(ip_network(text.strip()))
            except ValueError:
                raise ConfigurationError(
                    "a trusted proxy must be an IP address or a network such as 127.0.0.1 or 10.1.2.0/24. Correct "
                    "--trusted-proxy."
                ) from None

    def trusts(self, address: str) -> bool:
        """True if an address belongs to a trusted proxy."""
        found = _address(address) if self.networks else None
        return found is not None and any(ip_address(found) in network for network in self.networks)

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Client address: the peer, or, if that is a trusted proxy, the nearest hop that is not one.

        A client may send one of the two headers itself through a proxy that sets the other. If they disagree, both are ignored.
        """
        if not self.networks or not self.trusts(peer):
            return peer
        listed = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
        forwarded = [value.decode("latin-1") for name, value in headers if name == b"forwarded"]
        found = {
            self._nearest(peer, hops)
            for hops in (_hops(listed), [_for(h) for h in _hops(forwarded)])
            if hops
        }  # fmt: skip
        return found.pop() if len(found) == 1 else peer

    def _nearest(self, peer: str, hops: list[str]) -> str:
        nearest = peer
        for hop in reversed(hops[-MOST_HOPS:]):
            address = _address(hop)
            if address is None:
                break
            nearest = address
            if not self.trusts(address):
                break
        return nearest


def _hops(values: list[str]) -> list[str]:
    return ",".join(values).split(",") if values else []


def _for(element: str) -> str:
    match = FORWARDED_FOR.search(element)
    return match[1].strip('"') if match else ""


def _address(text: str) -> str | None:
    """The address in "192.0.2.1", "192.0.2.1:80", "2001:db8::1" or "[2001:db8::1]:80"; None for anything else."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(found.ipv4_mapped or found) if isinstance(found, IPv6Address) else str(found)
