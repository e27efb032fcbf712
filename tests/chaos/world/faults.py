"""What breaks: one small function for each fault, which breaks something and mends it again.

Each gets the world and chance, and returns what it did for the log, or None when there was nothing
to break. A line of the log: {"fault", "at", "until", …}.
"""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg

from tests.chaos.world.logs import Log, now
from tests.chaos.world.proxy import COMMITTED, WRITTEN

if TYPE_CHECKING:
    from tests.chaos.world.world import World

Done = dict[str, Any] | None
Fault = Callable[["World", random.Random], Done]
LOCKED = [
    "engine_run",
    "engine_attempt",
    "engine_call",
    "engine_delay",
    "engine_event",
    "messaging_message",
    "crm_contact",
    "crm_note",
    "datastore_countervalue",
    "django_q_ormq",
]


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


# --- processes -----------------------------------------------------------------------------------


def kill_worker(world: "World", chance: random.Random) -> Done:
    """kill -9 of one process of the workers; the topmost one, too."""
    tree = world.workers.tree()
    pid = chance.choice(tree) if tree else 0
    return {"pid": pid, "of": len(tree)} if pid and _signal(pid, signal.SIGKILL) else None


def kill_workers(world: "World", chance: random.Random) -> Done:
    """kill -9 of them all, as when their host is gone."""
    tree = world.workers.tree()
    return {"pids": [pid for pid in tree if _signal(pid, signal.SIGKILL)]} if tree else None


def stop_workers(world: "World", chance: random.Random) -> Done:
    """SIGTERM; how long they took to end stands in the log."""
    if not world.workers.tree():
        return None
    begun = time.monotonic()
    world.workers.terminate(60)
    return {"took": time.monotonic() - begun}


def kill_web(world: "World", chance: random.Random) -> Done:
    tree = world.web.tree()
    pid = chance.choice(tree) if tree else 0
    return {"pid": pid} if pid and _signal(pid, signal.SIGKILL) else None


def freeze(world: "World", chance: random.Random) -> Done:
    """SIGSTOP of a process for a while, often for longer than its leases last."""
    side = chance.choice(["workers", "workers", "web"])
    tree = getattr(world, side).tree()
    pid = chance.choice(tree) if tree else 0
    if not pid or not _signal(pid, signal.SIGSTOP):
        return None
    seconds = chance.uniform(1, 15)
    world.pause(seconds)
    _signal(pid, signal.SIGCONT)
    return {"pid": pid, "side": side, "seconds": seconds}


# --- connections ---------------------------------------------------------------------------------


def terminate_backend(world: "World", chance: random.Random) -> Done:
    backends = world.cluster.backends()
    if not backends:
        return None
    pid = chance.choice(backends)
    with world.cluster.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    return {"pid": pid}


def cut_some(world: "World", chance: random.Random) -> Done:
    side = chance.choice(list(world.proxies))
    return {"side": side, "cut": world.proxies[side].cut_some(chance)}


def cut_all(world: "World", chance: random.Random) -> Done:
    return {"cut": sum(proxy.cut_all() for proxy in world.proxies.values())}


def lose_commit(world: "World", chance: random.Random) -> Done:
    """The acknowledgement of one COMMIT."""
    return _swallow(world, chance, COMMITTED)


def lose_write(world: "World", chance: random.Random) -> Done:
    """The acknowledgement of one statement that was its own transaction."""
    return _swallow(world, chance, WRITTEN)


def _swallow(world: "World", chance: random.Random, what: re.Pattern[bytes]) -> Done:
    side = chance.choice(["workers", "workers", "workers", "web"])
    return {"side": side} if world.proxies[side].swallow(what, 3) else None


# --- the database --------------------------------------------------------------------------------


def lock_table(world: "World", chance: random.Random) -> Done:
    table, seconds = chance.choice(LOCKED), chance.uniform(1, 8)
    with world.cluster.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '5s'")
        connection.execute(f"LOCK TABLE {table}")  # type: ignore[call-overload]
        world.pause(seconds)
    return {"table": table, "seconds": seconds}


def kill_backend(world: "World", chance: random.Random) -> Done:
    """kill -9 of one: PostgreSQL restarts as a whole."""
    backends = world.cluster.backends()
    if not backends:
        return None
    pid = chance.choice(backends)
    world.cluster.kill_backend(pid)
    world.cluster.wait()
    return {"pid": pid}


def crash_cluster(world: "World", chance: random.Random) -> Done:
    away = chance.uniform(0, 3)
    with world.restarting:
        world.cluster.crash()
        world.pause(away)
        world.cluster.start()
    return {"away": away}


def fill_disk(world: "World", chance: random.Random) -> Done:
    if not world.cluster.can_fill:
        return None
    seconds = chance.uniform(2, 8)
    try:
        taken = world.cluster.fill()
        world.pause(seconds)
    finally:
        world.cluster.make_room()
    return {"seconds": seconds, "taken": taken}


def step_clock(world: "World", chance: random.Random) -> Done:
    """The clock of the workers' host is wrong for a while."""
    offset = chance.choice([-3700.0, -90.0, 90.0, 3700.0])
    seconds = chance.uniform(2, 8)
    world.set_clock(offset)
    try:
        world.pause(seconds)
    finally:
        world.set_clock(0.0)
    return {"offset": offset, "seconds": seconds}


FAULTS: dict[str, tuple[Fault, int]] = {
    fault.__name__: (fault, weight)
    for fault, weight in [
        (kill_worker, 5),
        (kill_workers, 2),
        (stop_workers, 1),
        (kill_web, 3),
        (freeze, 4),
        (terminate_backend, 5),
        (cut_some, 4),
        (cut_all, 2),
        (lose_commit, 6),
        (lose_write, 3),
        (lock_table, 4),
        (kill_backend, 1),
        (crash_cluster, 2),
        (fill_disk, 2),
        (step_clock, 2),
    ]
}
# One at a time: each would wait for the other, or hide it.
_ALONE = {"crash_cluster", "kill_backend", "fill_disk", "stop_workers", "step_clock"}


class Hand:
    """Breaks one thing after the other. Two hands may break two things at once."""

    def __init__(self, world: "World", seed: str, names: list[str], log: Log) -> None:
        self.world, self.chance, self.names, self.log = world, random.Random(seed), names, log
        self.thread = threading.Thread(target=self._go_on, daemon=True)

    def _go_on(self) -> None:
        weights = [FAULTS[name][1] for name in self.names]
        while not self.world.pause(self.chance.expovariate(1 / PAUSE)):
            name = self.chance.choices(self.names, weights)[0]
            if name not in _ALONE:
                self._break(name)
            elif self.world.alone.acquire(blocking=False):
                try:
                    self._break(name)
                finally:
                    self.world.alone.release()

    def _break(self, name: str) -> None:
        at = now()
        try:
            done = FAULTS[name][0](self.world, self.chance)
        except (psycopg.Error, OSError) as error:
            done = {"broke": str(error)[:200]}  # another fault was in the way; it may have worked
        if done is not None:
            self.log.write(fault=name, at=at, until=now(), **done)


# Seconds between two faults of one hand, on average.
PAUSE = 1.5
