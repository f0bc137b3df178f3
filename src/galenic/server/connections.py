"""Limits on connections: how many there are at once, in all and from one address, and which of them gives way to a new one."""

import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

IN_ALL, PER_ADDRESS = 512, 128
CONNECTION = "galenic.connection"  # key of a request's Connection in its ASGI scope
IPV6_NETWORK = 64  # bits: a subscriber has at least a network of this size (RFC 6177)


def source_of(address: str) -> str:
    """The address under which a client is counted: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped or IPv6Address(int(found) >> IPV6_NETWORK << IPV6_NETWORK)) + ("" if mapped else f"/{IPV6_NETWORK}")


@dataclass(eq=False)
class Connection:
    """One connection. close: ends it at once. busy: a complete request is being answered. signed_in: an earlier request had a
    valid session or token. since: when it was opened, or its last answer was complete (s)."""

    source: str
    close: Callable[[], None]
    signed_in: bool = False
    busy: bool = False
    since: float = field(default_factory=time.monotonic)


def mark_signed_in(scope: MutableMapping[str, Any]) -> None:
    """Notes that a request had a valid session or token: its connection gives way to new ones last."""
    connection = scope.get(CONNECTION)
    if connection is not None:
        connection.signed_in = True


class ConnectionTable:
    """All connections of a server. A new connection takes the place of one that is not busy: of the address with the most
    connections the oldest, and of signed-in clients last. So silent connections keep nobody out."""

    def __init__(self, trusted: Callable[[str], bool] = lambda _address: False) -> None:
        self.trusted = trusted
        self._connections: set[Connection] = set()
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """Number of connections."""
        return len(self._connections)

    def admit(self, address: str, close: Callable[[], None]) -> Connection | None:
        """The entry of a new connection; None if every other one is busy. address: of the peer; trusted proxies have no limit of
        their own, and are treated as signed in."""
        source, proxy = source_of(address), self.trusted(address)
        if not proxy and self._counts[source] >= PER_ADDRESS and not self._evict(source):
            return None
        if len(self._connections) >= IN_ALL and not self._evict():
            return None
        entry = Connection(source, close, signed_in=proxy)
        self._connections.add(entry)
        self._counts[source] += 1
        return entry

    def remove(self, connection: Connection) -> None:
        """Forgets a connection that has ended."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._counts[connection.source] -= 1
            if not self._counts[connection.source]:
                del self._counts[connection.source]

    def _evict(self, source: str = "") -> bool:
        """Ends one connection, of one source or of any; False if all of them are busy."""
        waiting = [c for c in self._connections if not c.busy and (not source or c.source == source)]
        if not waiting:
            return False
        loser = min(waiting, key=lambda c: (c.signed_in, -self._counts[c.source], c.since))
        self.remove(loser)
        loser.close()
        return True
