"""Secrets that a server echoes are taken out of its answer."""

import pytest

from apps.core.http.messages import Failure, Kind, Response
from apps.core.http.redaction import MASK, without

SHORT, LONG = "Bearer-abc", "0123456789-Bearer-abc"


def answer(**columns):
    default = {"status": 200, "reason": "OK", "headers": (), "body": b"", "url": "", "took_us": 1}
    return Response(**{**default, **columns})


@pytest.mark.parametrize("secrets", [[SHORT, LONG], [LONG, SHORT]])
def test_of_a_secret_that_holds_another_nothing_stays(secrets):
    found = without(
        secrets,
        answer(
            body=f"you sent {LONG}, not {SHORT}".encode(),
            headers=(("X-Echo", LONG), ("X-Other", f"({SHORT})")),
            reason=f"No {LONG}",
        ),
    )
    assert found.body.decode() == f"you sent {MASK}, not {MASK}"
    assert found.headers == (("X-Echo", MASK), ("X-Other", f"({MASK})"))
    assert found.reason == f"No {MASK}"


def test_a_failure_that_names_a_secret_loses_it():
    failure = Failure(f"{LONG} is no host.", Kind.DNS, sent=False, took_us=1)
    assert without([SHORT, LONG], failure).reason == f"{MASK} is no host."


@pytest.mark.parametrize(
    ("where", "held", "left"),
    [
        ("body", SHORT.encode(), MASK.encode()),
        ("headers", (("X-Echo", SHORT),), (("X-Echo", MASK),)),
        ("reason", SHORT, MASK),
    ],
)
def test_it_is_enough_that_it_stands_in_one_place(where, held, left):
    assert getattr(without([SHORT], answer(**{where: held})), where) == left


def test_short_texts_are_no_secrets():
    said = answer(body=b"12345 123456")
    assert without(["12345", "123456"], said).body == f"12345 {MASK}".encode()
