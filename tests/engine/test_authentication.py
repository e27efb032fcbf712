"""Checks of who posts, against the examples that the senders publish."""

import base64
from datetime import UTC, datetime

import pytest
from django.utils.datastructures import CaseInsensitiveMapping

from apps.connectors.models import Connector
from apps.engine.authentication import CHECKS, NotAuthentic, Rule, meta_challenge, verify

# stripe-dotnet, src/StripeTests/Resources/event_test_signature.json
STRIPE_BODY = b"""{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"""
STRIPE_V1 = "2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7"
STRIPE_V0 = "63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
STRIPE_AT = 1533204620

# The examples of Standard Webhooks (and Svix).
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_AT = 1614265330
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(STANDARD_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}

# docs.github.com, "Validating webhook deliveries"
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_HEX = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
GITHUB_BASE64 = base64.b64encode(bytes.fromhex(GITHUB_HEX)).decode()
HUB = {"X-Hub-Signature-256": f"sha256={GITHUB_HEX}"}

SHOPIFY_BODY = b'{"id":1234567890,"email":"customer@example.com","total_price":"123.45"}'
SHOPIFY = {"X-Shopify-Hmac-SHA256": "QNyObTlKbMx2qDlPF/ZOZcBqg5OgPg+2oky3zldc0Gw="}

STRIPE = {"Stripe-Signature": f"t={STRIPE_AT},v1={STRIPE_V1},v0={STRIPE_V0}"}

GOOD = {
    "github": (Rule("github", GITHUB_SECRET), GITHUB_BODY, HUB, 0),
    "meta": (Rule("meta", GITHUB_SECRET), GITHUB_BODY, HUB, 0),
    "shopify": (Rule("shopify", "test-webhook-secret"), SHOPIFY_BODY, SHOPIFY, 0),
    "stripe": (Rule("stripe", "webhook_secret"), STRIPE_BODY, STRIPE, STRIPE_AT),
    "standard": (Rule("standard", STANDARD_SECRET), STANDARD_BODY, STANDARD, STANDARD_AT),
    "hmac": (
        Rule("hmac", GITHUB_SECRET, header="X-Signature"),
        GITHUB_BODY,
        {"x-signature": GITHUB_HEX.upper()},
        0,
    ),
    # RFC 7617, section 2 and 2.1
    "basic": (
        Rule("basic", "123£", username="test"),
        b"",
        {"Authorization": "Basic dGVzdDoxMjPCow=="},
        0,
    ),
    "header": (Rule("header", "k-1", header="X-Api-Key"), b"", {"x-api-key": "k-1"}, 0),
}


def sent(headers):
    """Headers as they arrive: found whatever their case."""
    return CaseInsensitiveMapping(headers)


def refusal(rule, raw, headers, at=0):
    """The sentence of a refusal; empty when the post is authentic."""
    try:
        verify(rule, raw, sent(headers), datetime.fromtimestamp(at, UTC))
    except NotAuthentic as error:
        return str(error)
    return ""


def test_every_choice_of_a_connector_is_checked_and_tried_here():
    assert set(Connector.Auth.values) - {"none"} == set(CHECKS) == set(GOOD)
    assert refusal(Rule(), b"", {}) == ""


@pytest.mark.parametrize("kind", GOOD)
def test_the_published_example_is_authentic(kind):
    assert refusal(*GOOD[kind]) == ""


@pytest.mark.parametrize("kind", GOOD)
def test_another_secret_another_body_or_no_header_is_refused(kind):
    rule, raw, headers, at = GOOD[kind]
    other = Rule(**{**vars(rule), "secret": base64.b64encode(b"another secret").decode()})
    assert refusal(other, raw, headers, at)
    assert refusal(Rule(**{**vars(rule), "secret": ""}), raw, headers, at)
    assert "is missing" in refusal(rule, raw, {}, at)
    if kind not in ("basic", "header"):
        assert "does not match the body" in refusal(rule, raw + b" ", headers, at)


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("value", ["", "x", "ü\xff", "sha256=", "t=,v1=", "Basic ü", ",", "v1,"])
def test_any_header_is_refused_without_an_error(kind, value):
    rule, raw, headers, at = GOOD[kind]
    for name in headers:
        assert refusal(rule, raw, {**headers, name: value}, at)


@pytest.mark.parametrize("kind", ["stripe", "standard"])
def test_a_signature_with_a_timestamp_is_good_for_the_tolerance(kind):
    rule, raw, headers, at = GOOD[kind]
    for seconds in (-300, 300):
        assert refusal(rule, raw, headers, at + seconds) == ""
        assert "300 seconds away" in refusal(rule, raw, headers, at + seconds * 1.01)
    short = Rule(**{**vars(rule), "tolerance": 10})
    assert "10 seconds away" in refusal(short, raw, headers, at + 11)


def test_the_timestamp_is_part_of_what_is_signed():
    rule, raw, headers, at = GOOD["stripe"]
    later = {"Stripe-Signature": headers["Stripe-Signature"].replace(str(at), str(at + 1))}
    assert "does not match" in refusal(rule, raw, later, at)
    rule, raw, headers, at = GOOD["standard"]
    for name, value in [("webhook-timestamp", str(at + 1)), ("webhook-id", "msg_other")]:
        assert "does not match" in refusal(rule, raw, {**headers, name: value}, at)
    assert "no timestamp" in refusal(rule, raw, {**headers, "webhook-timestamp": "x"}, at)


def test_one_of_several_signatures_is_enough():
    rule, raw, headers, at = GOOD["stripe"]
    two = {"Stripe-Signature": f"t={at},v1={'0' * 64},v1={STRIPE_V1}"}
    assert refusal(rule, raw, two, at) == ""
    only_old = {"Stripe-Signature": f"t={at},v0={STRIPE_V1}"}
    assert "does not match" in refusal(rule, raw, only_old, at)
    rule, raw, headers, at = GOOD["standard"]
    good = headers["webhook-signature"]
    several = {**headers, "webhook-signature": f"v1a,hnO3f9T8 v1,AAAA {good}"}
    assert refusal(rule, raw, several, at) == ""
    other_version = {**headers, "webhook-signature": good.replace("v1,", "v2,")}
    assert "does not match" in refusal(rule, raw, other_version, at)


@pytest.mark.parametrize(
    "value", [GITHUB_HEX, f"sha256={GITHUB_HEX}", GITHUB_BASE64, f"sha256={GITHUB_BASE64}"]
)
def test_other_signatures_are_hex_or_base64(value):
    rule = Rule("hmac", GITHUB_SECRET, header="X-Signature")
    assert refusal(rule, GITHUB_BODY, {"X-Signature": value}) == ""


def test_a_bearer_token_is_a_key_in_the_authorization_header():
    rule = Rule("header", "k-1", header="Authorization")
    assert refusal(rule, b"", {"Authorization": "Bearer k-1"}) == ""
    assert refusal(rule, b"", {"Authorization": "k-1"}) == ""
    assert "wrong" in refusal(rule, b"", {"Authorization": "Basic k-1"})


def test_a_secret_that_is_no_base64_is_refused_in_words():
    _, raw, headers, at = GOOD["standard"]
    assert "none of Standard Webhooks" in refusal(Rule("standard", "ü"), raw, headers, at)


def test_meta_verifies_an_address_with_the_last_part_of_it():
    asked = {
        "hub.mode": "subscribe",
        "hub.challenge": "1158201444",
        "hub.verify_token": "meatyhamhock",
    }
    assert meta_challenge(asked, "meatyhamhock") == "1158201444"
    with pytest.raises(NotAuthentic, match="verify token"):
        meta_challenge(asked, "another")
    assert meta_challenge({**asked, "hub.mode": "unsubscribe"}, "meatyhamhock") is None
    assert meta_challenge({}, "meatyhamhock") is None


def test_a_rule_does_not_show_its_secret():
    assert "Everybody" not in repr(GOOD["github"][0])
