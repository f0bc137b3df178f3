"""Outbound requests: only to registered destinations, under an open access decision, to permitted addresses."""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from galenic.errors import AccessDeniedError, ConfigurationError, MissingExtraError, OptionError, RecordError
from galenic.security import Fact, FactStore, Grant

MOST = 2**20  # bytes of a response
SECONDS = 10.0  # seconds for each step of a request
ALTOGETHER = 30.0  # seconds for a whole request


@dataclass(frozen=True)
class Reply:
    """Response of a destination. body: at most 1 MiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def origin_of(url: str) -> str:
    """scheme://host:port of an address. Raise OptionError if it is not a plain HTTP(S) address."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise OptionError("the address is not valid. Expected https://host or https://host:port.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        raise OptionError("the address cannot be used for requests. Expected https://host or https://host:port.")
    return f"{parts.scheme}://{parts.hostname}:{port}"


def declare(facts: FactStore, name: str, urls: Iterable[str], *, by: str, internal: bool = False, authority: str = "") -> None:
    """Registers a destination with the origins of these addresses. internal: True if they may be in the internal network;
    otherwise only public addresses are used; authority: PEM of an internal CA. Raise ConfigurationError for plain HTTP to
    another machine."""
    origins = sorted({origin_of(u) for u in urls})
    for one in origins:
        if one.startswith("http:") and not (internal and urlsplit(one).hostname in ("127.0.0.1", "::1", "localhost")):
            raise ConfigurationError(
                "requests without TLS are allowed only to this machine, and only if it is declared as internal. Use https://."
            )
    body = {"origins": origins, "internal": "yes" if internal else "no", "authority": authority}
    facts.put(Fact("destination", name, "allowed", name, body=tuple(sorted(body.items()))), actor=by)


def call(grant: Grant, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """GET, or POST of a form, under a decision to call outside/NAME. Redirects are not followed. Raise AccessDeniedError for an
    address that does not belong to the destination, and RecordError for a missing or too large response."""
    name = grant.resource.partition("/")[2]
    grant.require(f"outside/{name}", "call")
    known = grant.gate.facts.one("destination", name)
    if known is None or known.state != "allowed" or origin_of(url) not in known.get("origins"):
        raise AccessDeniedError(
            f"the address does not belong to destination {name!r}, which was declared with {_origins(known)}. Use one of "
            "these, or declare the address."
        )
    given = {"Accept": "application/json", **(headers or {})}
    body = None
    if form is not None:
        given["Content-Type"], body = "application/x-www-form-urlencoded", urlencode(form).encode()
    grant.require_active(size=len(body or b""))
    return _call(known, url, given, body)


def _origins(known: Fact | None) -> str:
    return ", ".join(known.get("origins")) if known else "nothing"


def _call(known: Fact, url: str, headers: dict[str, str], body: bytes | None) -> Reply:
    try:
        import httpcore  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("connections to other systems need the package httpcore", "server") from None
    context = ssl.create_default_context(cadata=known.get("authority") or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    method, sent = ("GET" if body is None else "POST"), list(headers.items())
    until = time.monotonic() + ALTOGETHER
    times = {"connect": SECONDS, "read": SECONDS, "write": SECONDS, "pool": SECONDS}
    backend = _backend(known.get("internal") == "yes")
    found = bytearray()
    try:
        with (
            httpcore.ConnectionPool(ssl_context=context, network_backend=backend) as pool,
            pool.stream(method, url, headers=sent, content=body, extensions={"timeout": times}) as reply,
        ):  # fmt: skip
            for part in reply.iter_stream():
                found += part
                if len(found) > MOST or time.monotonic() > until:
                    raise RecordError(
                        f"the response of {known.key!r} is larger than {MOST:,} bytes or does not end. Nothing was used. "
                        "Ask for less at once."
                    )
            named = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in reply.headers}
            return Reply(reply.status, named, bytes(found))
    except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise RecordError(
            f"{known.key!r} cannot be reached ({type(error).__name__}). Check that it is running and that its "
            "certificate is trusted."
        ) from None


EMBEDDING = ipaddress.ip_network("64:ff9b::/96")  # NAT64 (RFC 6052): an IPv4 address within an IPv6 address


def _public(text: str) -> bool:
    """True if an address is public, and does not contain one that is not."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and (address in EMBEDDING or address.sixtofour or address.teredo):
        return False
    return address.is_global and not address.is_multicast


def _backend(internal: bool) -> Any:
    """Network backend that checks the address that it connects to, because a name may resolve to any address, and to another
    one the next time."""
    import httpcore  # noqa: PLC0415

    class Looking(httpcore.SyncBackend):
        def connect_tcp(self, host: str, port: int, timeout: float | None = None, *given: Any, **more: Any) -> Any:
            found = sorted({str(i[4][0]) for i in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
            if not internal and not all(_public(a) for a in found):
                raise AccessDeniedError(
                    "the destination's name resolves to an address in the internal network, but it was not declared "
                    "as internal. Check its DNS entry, or declare it as internal."
                )
            return super().connect_tcp(found[0], port, timeout, *given, **more)

    return Looking()
