"""URLs, read strictly: what libcurl gets is put together anew from the parts that we checked, so
that two parsers can't disagree about the host."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import idna

MAX_LENGTH = 8_000
DEFAULT_PORT = {"http": 80, "https": 443}
_PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#]*)(?P<rest>[^#]*)(#.*)?")
_HOST = re.compile(r"(?P<name>[^:\[\]]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{0,5}))?")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
# Printable, but not in a URL as the standard has it; browsers encode it silently, and so do we.
_KEPT = "%/:?[]@!$&'()*+,;=-._~"


class Refused(Exception):
    """A request that we don't make; says why in a sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `host`: lower case, punycode; addresses in their usual form, IPv6 without
    brackets. `url`: put together from these parts, without a fragment."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def place(self) -> str:
        """The server, for sentences."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    def literal(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The address, where the host is one."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def read(url: str) -> Target:
    """Take a URL apart; raises Refused."""
    if len(url) > MAX_LENGTH:
        raise Refused(f"The URL is longer than {MAX_LENGTH:,} characters.")
    if " " in url or not url.isprintable():
        raise Refused("The URL contains a space or an invisible character; write a space as %20.")
    if "\\" in url:
        raise Refused("The URL contains a backslash; write it as %5C.")
    parts = _PARTS.fullmatch(url)
    if not parts:
        raise Refused("The URL must look like https://name.example/path.")
    scheme = parts["scheme"].lower()
    if scheme not in DEFAULT_PORT:
        raise Refused(f"Only http and https addresses are called, not {scheme}.")
    if "@" in parts["host"]:
        raise Refused(
            "The URL contains a user name or a password; send them in an Authorization header."
        )
    found = _HOST.fullmatch(parts["host"])
    if not found:
        raise Refused("The URL does not name a server.")
    host = host_name(found["name"])
    port = int(found["port"] or DEFAULT_PORT[scheme])
    if not 1 <= port <= 65535:
        raise Refused("The port in the URL must be between 1 and 65535.")
    shown = f"[{host}]" if ":" in host else host
    if port != DEFAULT_PORT[scheme]:
        shown += f":{port}"
    rest = quote(parts["rest"], safe=_KEPT)
    return Target(
        f"{scheme}://{shown}{rest if rest[:1] == '/' else '/' + rest}", scheme, host, port
    )


def host_name(written: str) -> str:
    """A host in its one form; raises Refused. Decimal, octal and hexadecimal addresses become
    what they mean."""
    if written.startswith("["):
        try:
            return str(ipaddress.IPv6Address(written[1:-1]))
        except ValueError:
            raise Refused("The IPv6 address in the URL can't be read.") from None
    host = written.lower()
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            raise Refused("The server's name in the URL can't be read.") from None
    host = host.removesuffix(".")
    if not _NAME.fullmatch(host):
        raise Refused("The server's name in the URL can't be read.")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            raise Refused("The address of the server in the URL can't be read.") from None
    return host


def follow(base: Target, location: str) -> Target:
    """Where a redirect leads; raises Refused."""
    # Servers write blanks into Location, and browsers bear with them.
    written = location.strip(" \t").replace(" ", "%20")
    try:
        joined = urljoin(base.url, written)
    except ValueError:  # brackets that are no IPv6 address
        raise Refused("The redirect leads to an address that can't be read.") from None
    return read(joined)
