from collections.abc import Callable, Iterator
from typing import Any

import pycurl
import pytest

from apps.core.http.guard import AllowList, Guard
from apps.core.http.messages import Failure, Request, Response
from apps.core.http.pool import Pool
from apps.core.http.transfer import Transfer
from tests.core.http.certificates import Authority
from tests.core.http.server import Server

# What people call "it hangs". Nothing here waits for it unless something is broken.
PATIENCE = 30.0

OPEN = Guard(AllowList.read(["127.0.0.1", "::1"]))


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(script)` starts a server on loopback."""
    servers: list[Server] = []

    def start(script: Any, **options: Any) -> Server:
        servers.append(Server(script, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool that may call servers on loopback by their address."""
    pool = Pool(OPEN)
    yield pool
    pool.close()


@pytest.fixture
def strict() -> Iterator[Pool]:
    """A pool with the guard as it is by default."""
    pool = Pool(Guard())
    yield pool
    pool.close()


def finish(pool: Pool) -> dict[Any, Response | Failure]:
    """The results of everything in flight, by token."""
    results: dict[Any, Response | Failure] = {}
    while pool.in_flight:
        done = pool.poll(PATIENCE)
        assert done, "The calls hang"
        results.update(done)
    return results


def call(pool: Pool, method: str, url: str, **more: Any) -> Any:
    """One call, to its end."""
    more.setdefault("deadline", PATIENCE)
    pool.start("one", Request(method, url, **more))
    return finish(pool)["one"]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """`resolve("name:port", "address,…")`: what the name server says, in pools made from now on."""
    names: list[str] = []
    set_up = Transfer._set_up

    def with_names(transfer: Transfer) -> None:
        set_up(transfer)
        transfer.easy.setopt(pycurl.RESOLVE, names)

    monkeypatch.setattr(Transfer, "_set_up", with_names)
    return lambda name, addresses: names.append(f"{name}:{addresses}")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))
