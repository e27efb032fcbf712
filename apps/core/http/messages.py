"""What is asked and what comes back."""

from dataclasses import dataclass
from enum import StrEnum

from apps.core.http.places import Bound

Headers = tuple[tuple[str, str], ...]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One call to the outside, redirects included.

    `url`: http or https, without credentials; letters outside ASCII are encoded, blanks are not.
    `headers`: in order; Host, Content-Length and the like are ours to write.
    `body`: None sends none (POST, PUT and PATCH then say Content-Length: 0).
    `deadline`: seconds for everything, from the look-up of the name to the last byte.
    `max_bytes`: of the answer's body, after decompression.
    `max_redirects`: 0 returns a redirect as it is.
    `bound`: the secret in it, which goes to the hosts of its credential only.

    There is no allow-list here: connections are kept and shared between requests, so what may be
    dialled belongs to the pool (its guard).
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes | None = None
    deadline: float = 60.0
    max_bytes: int = MIB
    max_redirects: int = 3
    bound: Bound | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status. `url`: who gave it, after redirects. `body`: decompressed."""

    status: int
    reason: str
    headers: Headers
    body: bytes
    url: str
    took_us: int

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        return first(self.headers, name)


class Kind(StrEnum):
    """What went wrong, for programs; people read the sentence."""

    REFUSED = "refused"  # by ourselves: the request, the address or a redirect
    DNS = "dns"  # the name is unknown
    CONNECT = "connect"  # nobody there, or the proxy can't get there
    TLS = "tls"  # no trust, or no common language
    TIMEOUT = "timeout"
    LOST = "lost"  # the connection broke, or the answer is no HTTP
    TOO_LARGE = "too_large"
    LIMITED = "limited"  # by the account's own limit of calls
    LATE = "late"  # its time to leave was over: the worker had been stopped, or was to end


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer, or none that can be used.

    `reason`: a sentence for people; it names the host, never the path or the query.
    `sent`: False when certainly no byte of the request left for a server, so that trying again is
    safe. True means that the outcome is *unknown*: the server may have done what was asked.
    """

    reason: str
    kind: Kind
    sent: bool
    took_us: int


def first(headers: Headers, name: str) -> str | None:
    name = name.lower()
    return next((value for key, value in headers if key.lower() == name), None)
