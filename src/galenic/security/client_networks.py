"""Networks that a client is counted under. A machine has one IPv4 address, but complete networks of IPv6 addresses."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

SUBSCRIBER, SITE = 64, 48  # bits of an IPv6 network: of a subscriber at least (RFC 6177), of an organization
SITE_SHARE = 4  # a site may have this multiple of the limit of one address


@lru_cache(4_096)
def networks_of(address: str) -> tuple[str, ...]:
    """The IPv4 address, or the /64 and the /48 network of an IPv6 address; text that is no address as it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return (address,)
    if isinstance(found, IPv4Address) or found.ipv4_mapped:
        return (str(found if isinstance(found, IPv4Address) else found.ipv4_mapped),)
    return tuple(f"{IPv6Address(int(found) >> 128 - bits << 128 - bits)}/{bits}" for bits in (SUBSCRIBER, SITE))


def source_of(address: str) -> str:
    """Narrowest network that a client is counted under."""
    return networks_of(address)[0]


def limits_of(address: str, most: int) -> dict[str, int]:
    """Networks that a client is counted under, each with its limit, if one address may have `most`."""
    return {network: most * (SITE_SHARE if n else 1) for n, network in enumerate(networks_of(address))}
