"""Addresses that are not the public internet (IANA's special-purpose registries, and clouds)."""

import ipaddress
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Special:
    """What a refused address is. `by_name`: a name on the allow-list may stand for it (a printer in
    the office); otherwise only the address itself on the list opens it."""

    what: str
    by_name: bool = False


_SELF = Special("an address of this machine itself", by_name=True)
_PRIVATE = Special("an address in a private network", by_name=True)
_SHARED = Special("an address in a network that a provider shares", by_name=True)
_ANY = Special("no real address")
_LINK = Special("a link-local address")
_CLOUD = Special("the metadata service of a cloud")
_MULTICAST = Special("an address of many machines at once")
_RESERVED = Special("a reserved address")
_EXAMPLE = Special("an address for documentation and tests")
_TUNNEL = Special("the address of a tunnel, which can hide another one")

# The first match counts: the narrow ones come first.
_RANGES: tuple[tuple[Network, Special], ...] = tuple(
    (ipaddress.ip_network(network), special)
    for special, networks in (
        (
            _CLOUD,
            "169.254.169.254/32 169.254.170.0/24 100.100.100.200/32 168.63.129.16/32 192.0.0.192/32"
            " fd00:ec2::/32 fd20:ce::254/128 fd00:c1::a9fe:a9fe/128 fe80::a9fe:a9fe/128",
        ),
        (_ANY, "0.0.0.0/8 ::/128"),
        (_SELF, "127.0.0.0/8 ::1/128"),
        (_PRIVATE, "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10"),
        (_SHARED, "100.64.0.0/10"),
        (_LINK, "169.254.0.0/16 fe80::/10"),
        (_MULTICAST, "224.0.0.0/4 255.255.255.255/32 ff00::/8"),
        (_EXAMPLE, "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15"),
        (_EXAMPLE, "2001:db8::/32 3fff::/20 2001:2::/48"),
        (_TUNNEL, "192.88.99.0/24 2002::/16 2001::/32 64:ff9b:1::/48"),
        (_RESERVED, "192.0.0.0/24 240.0.0.0/4 2001::/23"),
    )
    for network in networks.split()
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one merely writes down (mapped, NAT64), else itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def special(address: Address) -> Special | None:
    """Why this is no address on the public internet; None when it is one."""
    address = plain(address)
    for network, why in _RANGES:
        if address in network:
            return why
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return _RESERVED
    return None
