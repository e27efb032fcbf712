import pytest

from apps.actions.kinds.delay import Delay
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.crm.models import Contact
from apps.engine.models import Attempt, Run
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db

MAP = (MapContact, {"phone": "+4915112345678"})


def test_nothing_after_it_runs(happen):
    run = happen([(StopRun, {}), MAP], [MAP])
    assert (run.state, run.error, Contact.objects.count()) == ("stopped", "", 0)
    entry = Attempt.objects.get()
    assert (entry.result, entry.note) == ("stopped", "Stopped by this action")


def test_messages_queued_before_it_are_sent(happen):
    message = {"channel": ChannelFactory(), "recipients": [{"to": "+4915112345678"}], "text": "Hi"}
    happen([(SendMessage, message), (StopRun, {})])
    assert PhoneMessage.objects.get().text == "Hi"


def test_delays_of_other_runs_go_on(happen, drain, clock):
    waiting = happen([(Delay, {})])
    happen([(StopRun, {})])
    clock.tick(hours=1)
    drain()
    assert Run.objects.get(pk=waiting.pk).state == "done"


def test_a_turn_done_again_stops_once(happen, lost_turn):
    run = happen([(StopRun, {})])
    assert (lost_turn, run.state, Attempt.objects.count()) == ([True], "stopped", 1)


def test_switched_off_it_lets_the_run_pass(happen):
    run = happen([(StopRun, {"enabled": False}), MAP])
    assert (run.state, Contact.objects.count()) == ("done", 1)
