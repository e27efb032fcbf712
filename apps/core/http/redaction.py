"""Secrets taken out of answers: a server may echo what it was sent."""

from collections.abc import Iterable
from dataclasses import replace

from apps.core.http.messages import Failure, Response

MASK = "•••"
# Shorter ones would take harmless words with them, and are no secrets.
SHORTEST = 6


def without(secrets: Iterable[str], answer: Response | Failure) -> Response | Failure:
    """The answer with MASK where one of `secrets` stood, in its body, headers or reason."""
    # The longest first: one may be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < SHORTEST:
            continue
        if isinstance(answer, Failure):
            answer = replace(answer, reason=answer.reason.replace(secret, MASK))
        elif _is_in(secret, answer):
            answer = replace(
                answer,
                reason=answer.reason.replace(secret, MASK),
                headers=tuple((n, v.replace(secret, MASK)) for n, v in answer.headers),
                body=answer.body.replace(secret.encode(), MASK.encode()),
            )
    return answer


def _is_in(secret: str, answer: Response) -> bool:
    return (
        secret.encode() in answer.body
        or any(secret in value for _, value in answer.headers)
        or secret in answer.reason
    )
