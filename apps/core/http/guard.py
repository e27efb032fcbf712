"""Which addresses may be dialled."""

import ipaddress
from dataclasses import dataclass
from typing import Self

from django.conf import settings

from apps.core.http import addresses
from apps.core.http.addresses import Address, Network
from apps.core.http.urls import Refused, Target, host_name

# Services that are made to misunderstand HTTP (the list of the WHATWG fetch standard).
# fmt: off
_BAD_PORTS = frozenset((
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
    103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
    995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10080,
))
# fmt: on
_HOW = "If it is meant to be called, add it to SWITCHBOARD_HTTP_ALLOW."


@dataclass(frozen=True)
class AllowList:
    """Hosts, addresses and networks that may be called although they are not public; each with a
    port, or with None for every port."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[Network, int | None], ...] = ()

    @classmethod
    def read(cls, words: list[str]) -> Self:
        """From `printer.lan`, `printer.lan:8080`, `10.0.0.0/8`, `127.0.0.1:9000`, `[::1]:9000`;
        raises ValueError with a sentence."""
        names: set[tuple[str, int | None]] = set()
        networks: list[tuple[Network, int | None]] = []
        for word in words:
            host, port = _split_port(word)
            try:
                networks.append((ipaddress.ip_network(host), port))
            except ValueError:
                names.add((_name(host, word), port))
        return cls(frozenset(names), tuple(networks))

    def has_address(self, address: Address, port: int) -> bool:
        return any(address in network and only in (None, port) for network, only in self.networks)

    def has_name(self, host: str, port: int) -> bool:
        return (host, port) in self.names or (host, None) in self.names


@dataclass(frozen=True)
class Guard:
    """`allow`: what is not public and may still be called. `proxy`: every call goes through it
    (empty: none). `ca_file`: certificates to trust (empty: certifi's)."""

    allow: AllowList = AllowList()
    proxy: str = ""
    ca_file: str = ""

    @classmethod
    def from_settings(cls) -> Self:
        return cls(settings.HTTP_ALLOW, settings.HTTP_PROXY, settings.HTTP_CA_FILE)

    def check(self, target: Target) -> None:
        """What can be said before a name is looked up; raises Refused."""
        address = target.literal()
        if self.proxy and (target.host == "localhost" or target.host.endswith(".localhost")):
            address = ipaddress.IPv4Address("127.0.0.1")  # what the proxy would make of it
        if target.port in _BAD_PORTS and not (
            self.allow.has_name(target.host, target.port)
            or (address and self.allow.has_address(address, target.port))
        ):
            raise Refused(f"Port {target.port} is not used for HTTP, so it is not called. {_HOW}")
        if address:
            self.check_address(target, address)

    def check_address(self, target: Target, address: Address) -> None:
        """The address that is about to be dialled for this target; raises Refused."""
        address = addresses.plain(address)
        special = addresses.special(address)
        if special is None or self.allow.has_address(address, target.port):
            return
        if special.by_name and self.allow.has_name(target.host, target.port):
            return
        shown = str(address) if target.literal() else f"{target.host} ({address})"
        raise Refused(f"{shown} is not called: it is {special.what}. {_HOW}")


def _split_port(word: str) -> tuple[str, int | None]:
    if word.startswith("["):
        host, bracket, port = word[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(f"{word!r} can't be read.")
        port = port[1:]
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    else:
        return word, None
    if port and not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise ValueError(f"the port in {word!r} must be between 1 and 65535.")
    return host, int(port) if port else None


def _name(host: str, word: str) -> str:
    try:
        name = host_name(host)
    except Refused:
        name = ""
    # A host that means an address (decimal, octal …) is to be written as that address.
    if not name or name.replace(".", "").isdigit():
        raise ValueError(f"{word!r} is neither a host, nor an address, nor a network.")
    return name
