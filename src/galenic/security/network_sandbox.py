"""Process without network access. Work on patient data needs none, so it cannot leak data that way.

When run as a script, it starts another program in its own network namespace if the kernel allows it, before there are threads.
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
    """Blocks the network for the Python code of this process, permanently, because an audit hook cannot be removed. but: hosts
    that remain allowed, such as those of the root key or the witness."""

    def refuse(event: str, given: tuple[Any, ...]) -> None:
        if event not in CALLS or getattr(given[0], "family", INTERNET[0]) not in INTERNET:
            return
        address = given[0] if event.startswith("socket.get") else given[-1]
        if str(address[0] if isinstance(address, tuple) else address) not in but:
            raise PermissionError(errno.EPERM, "this process may not use the network")

    sys.addaudithook(refuse)


def unshared() -> bool:
    """True if an empty network namespace was created (unshare(2)), with a user namespace if necessary. It applies to threads
    and processes started from here on. False if the kernel does not allow it."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.unshare(NEW_NET) == 0 or libc.unshare(NEW_USER | NEW_NET) == 0)


if __name__ == "__main__":
    os.environ["GALENIC_NAMESPACE"] = "own" if unshared() else "shared"
    os.execv(sys.argv[1], sys.argv[1:])  # nosec B606  # noqa: S606  # the program that we were started with
