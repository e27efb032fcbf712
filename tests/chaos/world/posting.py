"""Callers: threads that post events over HTTP, and log what they were told.

Each event is one line: {"n", "at", "until", "connector", "phone", "event_id", "status", "wakes"}.
`event_id` is none when no answer said that the event was taken; callers of the connector that
takes each event once post again until one does.
"""

import http.client
import json
import random
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.world.logs import Log, now

SHARES = {"shop": 3, "chatty": 4, "sleepy": 3, "orders": 3, "quick": 3, "router": 2, "canceller": 1}
ONCE = "quick"
PHONES = [f"+49151234500{n:02d}" for n in range(12)]
PADDING = 800


class Callers:
    """A few of them, who post at `rate` events a second together until they are stopped."""

    def __init__(self, url: str, plan: dict[str, Any], seed: int, rate: float, log: Path) -> None:
        self.address = url.removeprefix("http://")
        self.plan, self.rate, self.log = plan, rate, Log(log)
        self.chance = random.Random(f"{seed} posts")
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._n = 0
        self._asleep: list[int] = []
        self.threads = [threading.Thread(target=self._post_on, daemon=True) for _ in range(COUNT)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Those who got no answer ask on until they get one, so this may take a moment."""
        self.stopping.set()
        until = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.0, until - time.monotonic()))
        self.log.close()

    def _post_on(self) -> None:
        while not self.stopping.wait(self.chance.expovariate(self.rate / COUNT)):
            with self._lock:
                event = self._event()
            self._post(event)

    def _event(self) -> dict[str, Any]:
        self._n += 1
        connector = self.chance.choices(list(SHARES), list(SHARES.values()))[0]
        wakes = now() + self.chance.uniform(1, 5)
        event: dict[str, Any] = {
            "n": self._n,
            "connector": connector,
            "phone": self.chance.choice(PHONES),
            "wakes": wakes,
        }
        if connector == "sleepy":
            self._asleep = [*self._asleep[-5:], self._n]
        elif connector == "canceller" and self._asleep:
            event["cancels"] = self.chance.choice(self._asleep)
        return event

    def _post(self, event: dict[str, Any]) -> None:
        line = {**event, "at": now(), "event_id": None}
        while True:
            line["status"], line["event_id"] = self._ask(event)
            if line["event_id"] or event["connector"] != ONCE:
                break
            if self.stopping.is_set() and now() - line["at"] > 60:
                break
            time.sleep(0.3)
        self.log.write(**line, until=now())

    def _ask(self, event: dict[str, Any]) -> tuple[int, int | None]:
        """The status (0: no answer) and the event's id."""
        until = datetime.fromtimestamp(event["wakes"], UTC).isoformat()
        body = {**event, "until": until, "padding": "x" * PADDING}
        headers = {"Content-Type": "application/json", "X-Event": str(event["n"])}
        path = f"/hooks/{self.plan[event['connector']]['token']}"
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()
        return answer.status, said.get("event_id") if answer.status == 202 else None


COUNT = 4
