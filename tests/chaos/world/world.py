"""The world: an installation on a private cluster, fed, moved and broken for some seconds, then
left in peace until nothing is open, and written down for the model."""

import http.client
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import psycopg

from tests.chaos.world import facts
from tests.chaos.world.cluster import Cluster
from tests.chaos.world.faults import FAULTS, Hand
from tests.chaos.world.logs import Log
from tests.chaos.world.outside import Outside
from tests.chaos.world.posting import Callers
from tests.chaos.world.processes import Kept
from tests.chaos.world.proxy import Proxy
from tests.installation import ROOT, Installation

OPEN = (
    "SELECT (SELECT count(*) FROM engine_run WHERE state IN ('due', 'leased', 'waiting'))"
    " + (SELECT count(*) FROM messaging_message WHERE state IN ('queued', 'leased', 'sending'))"
)


@dataclass
class Settings:
    """What a world is made of; a world with the same settings breaks the same things in the same
    order, though never at quite the same moment."""

    seed: int
    seconds: float = 45
    # Events a second.
    rate: float = 5
    faults: list[str] = field(default_factory=lambda: list(FAULTS))
    hands: int = 2
    moves: bool = True
    # How long it may take until everything has ended, once nothing breaks any more.
    patience: float = 240
    # Of rows in hand, in seconds.
    lease: float = 8


class World:
    """Set up once entered. `run` lives it through; `directory` then holds what is to be judged."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings, self.directory = settings, directory
        directory.mkdir(parents=True, exist_ok=True)
        self.alone = threading.Lock()
        self.restarting = threading.Lock()
        self.calm, self.over = threading.Event(), threading.Event()
        self._home = Path(tempfile.mkdtemp(prefix="switchboard-world-"))
        self._opened: list[Cluster | Proxy | Outside] = []
        self._kept: list[Kept] = []

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open(self) -> None:
        settings = self.settings
        small = "fill_disk" in settings.faults
        self.cluster = Cluster(small_disk=small).__enter__()
        self._opened.append(self.cluster)
        self.proxies = {side: Proxy(self.cluster.port).__enter__() for side in ("web", "workers")}
        self._opened += self.proxies.values()
        self.outside = Outside(settings.seed, self.directory / "requests.jsonl").__enter__()
        self._opened.append(self.outside)
        self.installation = Installation(self._home, self._through("web"))
        self.installation.env |= {
            "SWITCHBOARD_HTTP_ALLOW": self.outside.address,
            "SWITCHBOARD_HTTP_PER_MINUTE": "0",
        }
        printed = self.installation.run("-m", "tests.chaos.world.connectors", self.outside.address)
        self.plan = json.loads(printed)
        self._write("plan.json", self.plan)
        self._write("settings.json", asdict(settings))

    def _through(self, side: str) -> str:
        """The cluster's address behind the proxy of web and operators, or of the workers."""
        port = self.proxies[side].port
        return self.cluster.url.replace(f":{self.cluster.port}/", f":{port}/")

    def __exit__(self, *error: object) -> None:
        self.calm.set()
        self.over.set()
        for kept in self._kept:
            kept.kill()
        if hasattr(self, "installation"):
            self.installation.close()
        for opened in reversed(self._opened):
            opened.__exit__()
        shutil.rmtree(self._home, ignore_errors=True)

    # --- living ----------------------------------------------------------------------------------

    def run(self) -> None:
        """All of it; what is still open afterwards is for the model to say."""
        self._start()
        self._wait_until_it_answers()
        callers = Callers(
            self.installation.url,
            self.plan,
            self.settings.seed,
            self.settings.rate,
            self.directory / "posts.jsonl",
        )
        faults = Log(self.directory / "faults.jsonl")
        names = list(self.settings.faults)
        hands = [
            Hand(self, f"{self.settings.seed} hand {number}", names, faults)
            for number in range(self.settings.hands if names else 0)
        ]
        callers.start()
        for hand in hands:
            hand.thread.start()
        moves = self._operators() if self.settings.moves else None
        self.over.wait(self.settings.seconds)
        self.calm.set()
        for hand in hands:
            hand.thread.join(120)
        callers.stop(90)
        if moves is not None:
            moves.terminate()
            moves.wait(60)
        self._settle()
        self.over.set()
        self.keeper.join()
        for kept in self._kept:
            kept.put_away()
        faults.close()
        self._write("facts.json", facts.read(self.cluster))
        shutil.copy(self.installation.log, self.directory / "log.txt")

    def pause(self, seconds: float) -> bool:
        """True when it is time to leave the world in peace."""
        return self.calm.wait(seconds)

    def set_clock(self, offset: float) -> None:
        file = self._home / "clock"
        temporary = file.with_suffix(".new")
        temporary.write_text(str(offset))
        temporary.replace(file)

    def _start(self) -> None:
        self.set_clock(0.0)
        made = self.installation
        descriptor = made.listener.fileno()
        serve = ["-m", "gunicorn", "--config=python:config.gunicorn", f"--bind=fd://{descriptor}"]
        self.web = Kept(serve, made.env, made.log, descriptor)
        work = ["-m", "tests.chaos.world.worker", str(self._home / "clock")]
        work += [str(self.settings.lease), self.outside.address]
        workers = {**made.env, "DATABASE_URL": self._through("workers")}
        self.workers = Kept(work, workers, made.log)
        self._kept = [self.web, self.workers]
        self.keeper = threading.Thread(target=self._keep, daemon=True)
        self.keeper.start()

    def _wait_until_it_answers(self) -> None:
        """A busy machine takes long to start everything; that is no time worth disturbing."""
        host, port = self.installation.url.removeprefix("http://").split(":")
        asking = http.client.HTTPConnection(host, int(port), timeout=self.settings.patience)
        asking.request("GET", "/hooks/nobody")
        assert asking.getresponse().status == 404
        asking.close()

    def _keep(self) -> None:
        while not self.over.wait(0.1):
            for kept in self._kept:
                kept.keep()

    def _operators(self) -> "subprocess.Popen[bytes]":
        module = ["-m", "tests.chaos.world.moves", str(self.settings.seed)]
        log = self.directory / "moves.jsonl"
        with self.installation.log.open("ab") as said:
            return subprocess.Popen(
                [sys.executable, *module, str(log)],
                cwd=ROOT,
                env=self.installation.env,
                stdout=said,
                stderr=said,
            )

    def _settle(self) -> None:
        """Until nothing is open, for a while at most."""
        until = time.monotonic() + self.settings.patience
        while time.monotonic() < until:
            try:
                with self.cluster.connect() as connection:
                    row = connection.execute(OPEN).fetchone()
            except psycopg.Error:
                row = None
            if row == (0,):
                return
            time.sleep(0.3)

    def _write(self, name: str, value: object) -> None:
        (self.directory / name).write_text(json.dumps(value, indent=1))


def new_seed() -> int:
    return random.SystemRandom().randrange(1_000_000)
