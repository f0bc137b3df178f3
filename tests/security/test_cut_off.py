"""A worker has no network: Python's calls are refused, and where the kernel lets us there is none to call."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from galenic.security import network_sandbox

TRY = """
import socket, sys
from galenic.security.network_sandbox import block_network
block_network(frozenset(sys.argv[2:]))
def tried(what, act):
    try:
        act()
        print(what, "done")
    except PermissionError:
        print(what, "refused")
    except OSError as error:
        print(what, type(error).__name__)
port = int(sys.argv[1])
tried("connect", lambda: socket.create_connection(("127.0.0.1", port), 2).close())
tried("connect6", lambda: socket.socket(socket.AF_INET6).connect(("::1", port)))
tried("name", lambda: socket.getaddrinfo("localhost", port))
tried("datagram", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)))
tried("bind", lambda: socket.socket().bind(("127.0.0.1", 0)))
a, b = socket.socketpair()
tried("local", lambda: a.send(b"x"))
"""


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def told(*command: str) -> dict[str, str]:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, timeout=60)
    return dict(line.split() for line in done.stdout.splitlines())


def test_python_calls_nobody(port: int) -> None:
    found = told("-c", TRY, str(port))
    assert {found[n] for n in ("connect", "connect6", "name", "datagram", "bind")} == {"refused"}
    assert found["local"] == "done"


def test_but_a_host_that_the_house_itself_is_kept_at(port: int) -> None:
    found = told("-c", TRY, str(port), "127.0.0.1", "localhost")
    assert found["connect"] == "done"
    assert found["connect6"] == "refused"


def test_the_kernel_leaves_nothing_to_call_not_even_to_programs_that_are_started(port: int) -> None:
    calls = f"import subprocess; print('shell', subprocess.run(['bash', '-c', 'echo > /dev/tcp/127.0.0.1/{port}'], stderr=-3).returncode)"
    open_to_all = told("-c", calls)
    assert open_to_all["shell"] == "0", "the planted listener can be called without the namespace"
    script = f"import os; print('namespace', os.environ['GALENIC_NAMESPACE']); {calls}"
    found = told("-S", str(network_sandbox.__file__), sys.executable, "-c", script)
    if found["namespace"] != "own":
        pytest.skip("this kernel lets no process have a network of its own")
    assert found["shell"] == "1"
