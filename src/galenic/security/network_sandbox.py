"""A process without network: what works on patients' data needs none, so it has none to lose them by.

Run as a file, it starts another program in a network namespace of its own where the kernel lets it: before there are threads.
"""

import ctypes
import errno
import os
import sys
from typing import Any

NEW_USER, NEW_NET = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET (linux/sched.h)
CALLS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
INTERNET = (2, 10)  # AF_INET, AF_INET6


def block_network(but: frozenset[str] = frozenset()) -> None:
    """Ends the network of this process's Python for good: nothing takes an audit hook away. but: hosts that it may still call,
    where the house's own root key or witness is kept at one."""

    def refuse(event: str, given: tuple[Any, ...]) -> None:
        if event not in CALLS or getattr(given[0], "family", INTERNET[0]) not in INTERNET:
            return
        address = given[0] if event.startswith("socket.get") else given[-1]
        if str(address[0] if isinstance(address, tuple) else address) not in but:
            raise PermissionError(errno.EPERM, "this process works without network")

    sys.addaudithook(refuse)


def unshared() -> bool:
    """A network namespace of one's own that holds nothing (unshare(2)); a user namespace, too, where that is needed for it. Holds
    for threads and processes that are started from here on. False where the kernel does not let us."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.unshare(NEW_NET) == 0 or libc.unshare(NEW_USER | NEW_NET) == 0)


if __name__ == "__main__":
    os.environ["GALENIC_NAMESPACE"] = "own" if unshared() else "shared"
    os.execv(sys.argv[1], sys.argv[1:])  # nosec B606  # noqa: S606  # the program that we were started with
