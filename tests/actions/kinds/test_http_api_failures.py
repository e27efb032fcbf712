"""HTTP API: what follows when a call fails: alert mails and retries."""

import uuid
from datetime import timedelta

import pytest

from apps.actions.http import alerts
from apps.actions.http.alerts import HttpAlert
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.stop import StopRun
from apps.connectors.on_error import OnError
from apps.engine.models import Attempt, Run
from tests.actions.kinds.asking import ask
from tests.factories import published

pytestmark = pytest.mark.django_db

# --- alerts ---------------------------------------------------------------------------------------


def test_failures_are_mailed_once_an_hour(server, post, drain, clock, run_tasks, smtp, settings):
    server.says({"error": "x"}, status=500)
    emails = "ops@shop.example, boss@shop.example"
    connector = published([ask(server, method="GET", alert_emails=emails)], name="Shop")
    for _ in range(3):
        post(connector, {})
    drain()
    run_tasks()
    (mail,) = smtp.mails
    assert mail.recipients == ["ops@shop.example", "boss@shop.example"]
    assert "Shop" in mail.subject and "Ask" in mail.subject
    assert "The server answered 500 Internal Server Error" in mail.text
    action = HttpApi.objects.get()
    assert f"/admin/actions/httpapi/{action.pk}/logs/" in mail.text

    clock.tick(minutes=59)
    post(connector, {})
    drain()
    run_tasks()
    assert len(smtp.mails) == 1
    clock.tick(minutes=2)
    post(connector, {})
    drain()
    run_tasks()
    assert len(smtp.mails) == 2


def test_reset_mail_timeout_lets_the_next_failure_be_mailed(
    server, post, drain, clock, run_tasks, smtp
):
    server.says({}, status=500)
    connector = published([ask(server, alert_emails="ops@shop.example")])
    for _ in range(2):
        post(connector, {})
        drain()
        run_tasks()
        alerts.reset(HttpApi.objects.get().uid)
    assert len(smtp.mails) == 2


def test_only_one_worker_takes_the_hour(clock):
    uid = uuid.uuid4()
    assert [alerts._claim(uid), alerts._claim(uid)] == [True, False]
    clock.tick(hours=1)
    assert [alerts._claim(uid), alerts._claim(uid)] == [True, False]


def test_after_a_clock_is_put_back_the_hour_is_free(clock):
    uid = uuid.uuid4()
    assert alerts._claim(uid)
    clock.tick(hours=-2)
    assert alerts.last_mail(uid) is None
    assert [alerts._claim(uid), alerts._claim(uid)] == [True, False]
    # Another process reads the clock a little differently.
    clock.tick(seconds=-1)
    assert alerts.last_mail(uid) is not None
    assert not alerts._claim(uid)


def test_over_the_rate_limit_is_mailed_and_what_goes_well_is_not(
    server, post, drain, clock, run_tasks, smtp, settings
):
    settings.HTTP_PER_MINUTE = 1
    connector = published([ask(server, alert_emails="ops@shop.example")])
    post(connector, {})
    drain()
    run_tasks()
    assert not smtp.mails
    post(connector, {})
    drain()
    run_tasks()
    assert "Rate Limit Exceeded" in smtp.mails[0].text


def test_a_mail_that_cannot_be_sent_does_not_use_up_the_hour(server, happen, run_tasks, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    server.says({}, status=500)
    happen([ask(server, alert_emails="ops@shop.example")])
    assert HttpAlert.objects.get().mailed_at is not None
    with pytest.raises(OSError):
        run_tasks()
    assert HttpAlert.objects.get().mailed_at is None


def test_without_a_mail_server_nothing_is_queued(server, happen, settings):
    from django_q.models import OrmQ

    settings.EMAIL_HOST = ""
    server.says({}, status=500)
    happen([ask(server, alert_emails="ops@shop.example")])
    assert not OrmQ.objects.exists() and not HttpAlert.objects.exists()


# --- retries --------------------------------------------------------------------------------------


def retrying(**columns):
    return {"on_error": OnError.RETRY, "retry_times": 2, "retry_wait": 60, **columns}


def test_a_retry_waits_as_long_as_the_server_asks(server, post, drain, clock):
    answers = [(503, {"Retry-After": "600"}, b"{}"), (200, {}, b'{"id": 7}')]
    server.answer = lambda asked: answers[len(server.asked) - 1]
    post(published([ask(server, **retrying())], [(StopRun, {})]), {})
    drain()
    clock.tick(seconds=599)
    drain()
    assert len(server.asked) == 1
    assert Run.objects.get().state == "waiting"
    clock.tick(seconds=1)
    drain()
    assert len(server.asked) == 2
    assert Run.objects.get().state == "stopped"
    assert len({a.headers["Idempotency-Key"] for a in server.asked}) == 1
    results = (
        Attempt.objects.filter(kind="http_api").order_by("pk").values_list("result", flat=True)
    )
    assert list(results) == ["retrying", "done"]


def test_the_alert_comes_after_the_last_retry(server, post, drain, clock, run_tasks, smtp):
    server.says({}, status=500)
    post(published([ask(server, alert_emails="ops@shop.example", **retrying())]), {})
    for asked in (1, 2, 3):
        assert not smtp.mails
        drain()
        run_tasks()
        assert len(server.asked) == asked
        clock.tick(minutes=10)
    assert "All 2 retries have failed." in smtp.mails[0].text
    assert Run.objects.get().state == "failed"


def test_an_unknown_outcome_is_mailed_and_never_retried(
    server, post, drain, clock, run_tasks, smtp
):
    server.answer = lambda asked: None
    post(published([ask(server, alert_emails="ops@shop.example", **retrying())]), {})
    drain()
    clock.tick(hours=1)
    drain()
    run_tasks()
    assert len(server.asked) == 1
    assert "Outcome unknown" in smtp.mails[0].text
    assert Run.objects.get().state == "failed"


# --- retry-after ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["120", "Mon, 02 Mar 2026 12:02:00 GMT"])
def test_a_server_may_ask_to_be_left_alone(server, clock, value):
    from apps.actions.http.answers import retry_after
    from apps.core.http.messages import Response

    answer = Response(503, "", (("Retry-After", value),), b"", "", 0)
    assert retry_after(answer, clock.now) == timedelta(minutes=2)


@pytest.mark.parametrize("value", ["", "soon", "-5", "Mon, 02 Mar 2020 12:02:00 GMT", "9" * 30])
def test_nonsense_is_not_heeded(server, clock, value):
    from apps.actions.http.answers import retry_after
    from apps.core.http.messages import Response

    answer = Response(503, "", (("Retry-After", value),), b"", "", 0)
    assert retry_after(answer, clock.now) is None
