"""Limits on the number of connections, in total and per address, and the choice of the connection to close for a new one."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from galenic.security import limits_of, networks_of, source_of

IN_ALL, PER_ADDRESS = 256, 96
RATE, BURST = 8.0, 64.0  # handshakes of one address: per second, and in a burst
SHARED_RATE, SHARED_BURST = 100.0, 256.0  # handshakes of all other addresses together; each takes a millisecond of one core
MOST_RATES = 10_000  # number of addresses with a remembered rate
CONNECTION = "galenic.connection"  # key of the Connection in the ASGI scope of a request


@dataclass(eq=False)
class Connection:
    """State of one connection. close: closes it at once. busy: a complete request is being answered. signed_in: an earlier
    request had a valid session or token. since: when it was opened, or its last answer was complete (s). site: the widest
    network of its client."""

    source: str
    site: str
    close: Callable[[], object]
    signed_in: bool = False
    busy: bool = False
    since: float = field(default_factory=time.monotonic)


def mark_signed_in(scope: MutableMapping[str, Any]) -> None:
    """Marks the connection of a request with a valid session or token. Such connections are closed last."""
    connection = scope.get(CONNECTION)
    if connection is not None:
        connection.signed_in = True


class TokenBucket:
    """Rate limit with bursts: a number of tokens per second, of which at most `size` are saved."""

    def __init__(self, rate: float, size: float) -> None:
        self.rate, self.size, self.tokens, self.at = rate, size, size, time.monotonic()

    def take(self) -> bool:
        """Takes a token. Return False if there is none."""
        now = time.monotonic()
        self.tokens, self.at = min(self.size, self.tokens + (now - self.at) * self.rate), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class HandshakeRate:
    """Rate limit of TLS handshakes. Each address has its own rate; beyond it, all addresses share one."""

    def __init__(self) -> None:
        self._shared = TokenBucket(SHARED_RATE, SHARED_BURST)
        self._of_network: OrderedDict[str, TokenBucket] = OrderedDict()

    def allows(self, address: str) -> bool:
        """True if another handshake from an address may begin now."""
        own = [self._bucket(network, share) for network, share in limits_of(address, 1).items()]
        return all([bucket.take() for bucket in own]) or self._shared.take()

    def _bucket(self, network: str, share: int) -> TokenBucket:
        bucket = self._of_network.pop(network, None) or TokenBucket(share * RATE, share * BURST)
        self._of_network[network] = bucket
        if len(self._of_network) > MOST_RATES:
            self._of_network.popitem(last=False)
        return bucket


class ConnectionTable:
    """All connections of a server. If the table is full, a new connection replaces one that is not busy: the oldest of the
    address with the most connections, and those of signed-in clients last. So idle connections cannot block others."""

    def __init__(self, trusted: Callable[[str], bool] = lambda _address: False) -> None:
        self.trusted = trusted
        self._connections: set[Connection] = set()
        self._counts: Counter[str] = Counter()
        self.handshakes = HandshakeRate()
        self.ended = 0  # connections since memory was last returned to the system

    def __len__(self) -> int:
        """Number of connections."""
        return len(self._connections)

    def admit(self, address: str, close: Callable[[], object]) -> Connection | None:
        """Entry for a new connection; None if every other one is busy. address: of the peer; trusted proxies have no limit of
        their own, and are treated as signed in."""
        source, proxy = source_of(address), self.trusted(address)
        if not proxy and self._counts[source] >= PER_ADDRESS and not self._evict(source):
            return None
        if len(self._connections) >= IN_ALL and not self._evict():
            return None
        entry = Connection(source, networks_of(address)[-1], close, signed_in=proxy)
        self._connections.add(entry)
        self._counts.update({entry.source, entry.site})
        return entry

    def remove(self, connection: Connection) -> None:
        """Forgets a connection that has ended."""
        if connection in self._connections:
            self.ended += 1
            self._connections.remove(connection)
            self._counts.subtract({connection.source, connection.site})
            for network in {connection.source, connection.site}:
                if not self._counts[network]:
                    del self._counts[network]

    def _evict(self, source: str = "") -> bool:
        """Closes one connection, of one address or of any. Return False if all of them are busy."""
        waiting = [c for c in self._connections if not c.busy and (not source or c.source == source)]
        if not waiting:
            return False
        loser = min(waiting, key=lambda c: (c.signed_in, -self._counts[c.site], -self._counts[c.source], c.since))
        self.remove(loser)
        loser.close()
        return True
