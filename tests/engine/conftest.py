import pytest

from apps.core.http.guard import AllowList
from apps.engine.agenda import look
from apps.engine.models import Run
from tests.servers import serving
from tests.steps import Clocks


@pytest.fixture
def outside(settings):
    """Loopback may be called, as often as a test likes."""
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    settings.HTTP_PER_MINUTE = 0


@pytest.fixture
def server():
    with serving() as made:
        yield made


@pytest.fixture
def send(post, clock):
    """Post one event for each phone, one after the other; returns the runs."""

    def events(connector, *phones):
        before = set(Run.objects.values_list("pk", flat=True))
        for number, phone in enumerate(phones):
            assert post(connector, {"phone": phone, "tag": f"t{number}"}).status_code == 202
            clock.tick(milliseconds=1)
        return list(Run.objects.exclude(pk__in=before).order_by("pk"))

    return events


@pytest.fixture
def clocks(monkeypatch):
    """Clocks that can be put on and back; this process has read the database's."""
    made = Clocks(monkeypatch)
    look()
    return made
