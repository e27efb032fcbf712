"""The express lane of a web worker: one thread that answers the everyday posts of its connections
together (apps/engine/express.py), while the worker's threads are for everything else."""

import logging
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from socket import MSG_DONTWAIT, MSG_PEEK
from threading import Thread
from typing import Any

from django.db import connection

from apps.engine import express

logger = logging.getLogger(__name__)

# How many posts are stored by one statement.
MOST = 50


class Lane:
    """Takes connections whose next request looks everyday. Each goes back exactly once, by
    `give_back(answered, usual)`: connections that were answered, and those whose request is still
    unread because it needs the usual way."""

    def __init__(self, give_back: Callable[[list[Any], list[Any]], None]) -> None:
        self._give_back = give_back
        self._waiting: SimpleQueue[tuple[Any, bytes]] = SimpleQueue()
        Thread(target=self._run, name="express lane", daemon=True).start()

    def take(self, conn: Any) -> bool:
        """Whether the lane has taken the connection; looks at what has arrived and leaves it."""
        if conn.parser is not None and conn.parser.unreader.buf.tell():
            return False  # The next request has been read already.
        try:
            data = conn.sock.recv(express.MOST_BYTES, MSG_PEEK | MSG_DONTWAIT)
        except OSError:
            return False
        if not data.startswith(express.BEGINNING):
            return False
        self._waiting.put((conn, data))
        return True

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            with suppress(Empty):
                while len(batch) < MOST:
                    batch.append(self._waiting.get_nowait())
            answered: list[Any] = []
            try:
                answered = self._serve(batch)
            except Exception:
                logger.exception("The express lane broke; its posts go the usual way")
            done = {id(conn) for conn in answered}
            self._give_back(answered, [conn for conn, _ in batch if id(conn) not in done])

    def _serve(self, batch: list[tuple[Any, bytes]]) -> list[Any]:
        """Store what can be stored and answer it; the connections that were answered."""
        posts = [(conn, data, express.read(data)) for conn, data in batch]
        everyday = [(conn, data, post) for conn, data, post in posts if post is not None]
        if not everyday:
            return []
        connection.close_if_unusable_or_obsolete()
        answers = express.store([post for _, _, post in everyday])
        answered = []
        for (conn, data, _), answer in zip(everyday, answers, strict=True):
            if answer is not None:
                _answer(conn, len(data), answer)
                answered.append(conn)
        return answered


def _answer(conn: Any, length: int, answer: bytes) -> None:
    """Read the request that was only looked at, and write its answer, which a socket always has
    room for. Who has gone meanwhile is noticed by the poller."""
    with suppress(OSError):
        conn.sock.recv(length)
        conn.sock.send(answer)
