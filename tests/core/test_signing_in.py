"""Guessing passwords: refused before any password is looked at."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core import signing_in

pytestmark = pytest.mark.django_db
RIGHT, WRONG = "Correct-horse-7", "wrong"
HOME, CAFE = "203.0.113.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def owner():
    return User.objects.create_superuser("owner", "", RIGHT)


def sign_in(password=WRONG, name="owner", at=HOME, **more):
    form = {"username": name, "password": password}
    return Client().post(reverse("admin:login"), form, REMOTE_ADDR=at, **more)


def fail(times, **where):
    return [sign_in(**where).status_code for _ in range(times)]


def pass_by(**time):
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(**time))


def test_three_failures_lock_for_a_quarter_of_an_hour(monkeypatch):
    assert fail(3) == [200, 200, 429]
    checked = []
    monkeypatch.setattr(User, "check_password", lambda *asked: checked.append(asked))
    answer = sign_in(RIGHT)
    assert (answer.status_code, answer["Retry-After"], checked) == (429, "900", [])
    assert "Try again in 15 minutes" in answer.content.decode()
    monkeypatch.undo()
    pass_by(minutes=14)
    assert sign_in(RIGHT).status_code == 429
    pass_by(minutes=16)
    assert sign_in(RIGHT).status_code == 302


def test_failures_far_apart_are_no_guessing():
    for _ in range(6):
        assert fail(1) == [200]
        pass_by(minutes=4)
    assert sign_in(RIGHT).status_code == 302


def test_who_gets_in_begins_anew():
    for _ in range(4):
        assert fail(2) == [200, 200]
        assert sign_in(RIGHT).status_code == 302


def test_somebody_elses_guesses_lock_nobody_out():
    fail(5, at=CAFE)
    assert sign_in(RIGHT, at=HOME).status_code == 302
    assert sign_in(RIGHT, at=CAFE).status_code == 429


def test_another_browser_is_the_same_guesser():
    for number in range(3):
        last = sign_in(HTTP_USER_AGENT=f"Browser {number}")
    assert last.status_code == 429


def test_guesses_from_everywhere_lock_the_account():
    answers = [sign_in(at=f"192.0.2.{n // 2}").status_code for n in range(31)]
    assert answers[:29] == [200] * 29
    assert answers[-1] == 429
    assert sign_in(RIGHT, at=HOME).status_code == 429


def test_guesses_of_many_accounts_lock_the_address():
    answers = [sign_in(name=f"name{n}").status_code for n in range(31)]
    assert answers[:29] == [200] * 29
    assert answers[-1] == 429
    assert sign_in(RIGHT).status_code == 429
    assert sign_in(RIGHT, at=CAFE).status_code == 302


@pytest.mark.parametrize(
    ("meta", "trusted", "counted"),
    [
        ({"REMOTE_ADDR": HOME}, False, HOME),
        ({"REMOTE_ADDR": HOME, "HTTP_X_FORWARDED_FOR": CAFE}, False, HOME),
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": f"1.1.1.1, {CAFE}"}, True, CAFE),
        ({"REMOTE_ADDR": HOME, "HTTP_X_FORWARDED_FOR": ""}, True, HOME),
        ({"REMOTE_ADDR": HOME, "HTTP_X_FORWARDED_FOR": "nonsense"}, True, None),
        ({"REMOTE_ADDR": "2001:db8:1:2:3:4:5:6"}, False, "2001:db8:1:2::"),
        ({"REMOTE_ADDR": ""}, False, None),
    ],
)
def test_whom_a_failure_is_counted_for(rf, settings, meta, trusted, counted):
    settings.BEHIND_PROXY = trusted
    assert signing_in.address(rf.get("/", **meta)) == counted


def test_no_password_is_kept(caplog):
    sign_in("my-secret-Password-1", name="owner\0x")
    sign_in("my-secret-Password-1")
    kept = str(list(AccessAttempt.objects.values()))
    assert "my-secret" not in kept + caplog.text


def test_addresses_that_a_server_writes_as_ipv6_are_told_apart():
    """nginx with one socket for both names every IPv4 address so."""
    fail(3, at=f"::ffff:{HOME}")
    assert sign_in(RIGHT, at=f"::ffff:{CAFE}").status_code == 302
    assert sign_in(RIGHT, at=HOME).status_code == 429
