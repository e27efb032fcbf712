import pytest

from apps.engine.models import Run


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
