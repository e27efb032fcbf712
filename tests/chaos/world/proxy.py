"""A TCP proxy between the product and its cluster: cuts connections, and swallows
acknowledgements of what PostgreSQL has committed."""

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
from typing import Self

# What PostgreSQL says when a COMMIT, or a statement that is its own transaction, is done:
# CommandComplete with its tag, the latter followed by ReadyForQuery "idle".
COMMITTED = re.compile(rb"C\0\0\0\x0bCOMMIT\0")
WRITTEN = re.compile(rb"C\0\0\0.(?:INSERT|UPDATE|DELETE) [0-9 ]+\0Z\0\0\0\x05I", re.DOTALL)
LONGEST = 64
_RESET = struct.pack("ii", 1, 0)


class Pair:
    """One connection of the product, and ours to the cluster."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.client, self.server = Side(self, False), Side(self, True)

    def cut(self) -> None:
        """At once and without a goodbye, on both sides."""
        for side in (self.client, self.server):
            side.reset()
        self.proxy.pairs.discard(self)


class Side(asyncio.Protocol):
    """One of the two sockets of a pair."""

    def __init__(self, pair: Pair, is_server: bool) -> None:
        self.pair, self.is_server = pair, is_server
        self.transport: asyncio.Transport | None = None
        self._early = b""
        self._tail = b""

    @property
    def other(self) -> "Side":
        return self.pair.client if self.is_server else self.pair.server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if self._early:
            self.give(self._early)
            self._early = b""
        if not self.is_server:
            self.pair.proxy.pairs.add(self.pair)
            self.pair.proxy.dial(self.pair)

    def give(self, data: bytes) -> None:
        if self.transport is None:
            self._early += data
        elif not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        proxy = self.pair.proxy
        if self.is_server and proxy.swallows is not None:
            seen = self._tail + data
            if proxy.swallows.search(seen):
                proxy.swallowed()
                self.pair.cut()
                return
            self._tail = seen[-LONGEST:]
        else:
            self._tail = b""
        self.other.give(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pair.proxy.pairs.discard(self.pair)
        if self.other.transport is not None:
            self.other.transport.close()

    def reset(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            with contextlib.suppress(OSError):
                raw = self.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()


class Proxy:
    """In a thread of its own; `port` is what the product connects to."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.pairs: set[Pair] = set()
        self.swallows: re.Pattern[bytes] | None = None
        self._swallowed = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = self._loop.create_server(lambda: Pair(self).client, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *error: object) -> None:
        self._do(self._server.close)
        self.cut_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def dial(self, pair: Pair) -> None:
        pair.dialled = asyncio.ensure_future(self._dial(pair))  # type: ignore[attr-defined]

    async def _dial(self, pair: Pair) -> None:
        try:
            await self._loop.create_connection(lambda: pair.server, "127.0.0.1", self.to)
        except OSError:
            pair.cut()

    # --- faults ----------------------------------------------------------------------------------

    def cut_all(self) -> int:
        return self._cut(lambda pairs: pairs)

    def cut_some(self, chance: random.Random) -> int:
        return self._cut(lambda pairs: [pair for pair in pairs if chance.random() < 0.4])

    def swallow(self, what: re.Pattern[bytes], seconds: float) -> bool:
        """Cut the next connection that is about to be told that its work is committed, instead of
        telling it; returns whether there was one."""
        self._swallowed.clear()
        self.swallows = what
        happened = self._swallowed.wait(seconds)
        self.swallows = None
        return happened

    def swallowed(self) -> None:
        """(In the loop.) One is enough."""
        self.swallows = None
        self._swallowed.set()

    def _cut(self, choose: "asyncio.Future[object] | object") -> int:
        count = 0

        def cut() -> None:
            nonlocal count
            for pair in choose(list(self.pairs)):  # type: ignore[operator]
                pair.cut()
                count += 1

        self._do(cut)
        return count

    def _do(self, what: object) -> None:
        done = threading.Event()

        def do() -> None:
            what()  # type: ignore[operator]
            done.set()

        self._loop.call_soon_threadsafe(do)
        done.wait(10)
