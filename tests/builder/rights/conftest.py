"""The world of the matrix is made once for all of its tests, which undo whatever they write."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from tests.builder.rights import expected, walk
from tests.builder.rights.asking import Somebody
from tests.builder.rights.world import World, build


@pytest.fixture(scope="package")
def matrix(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[Somebody, World]]:
    with django_db_blocker.unblock(), transaction.atomic():
        somebody = Somebody()
        every = somebody.every_right
        rules = [expected.rule_of(page) for page in walk.pages()]
        somebody.prepare({rights for rule in rules for rights in rule.sorts(every)})
        world = build(somebody.user)
        # Looked at once, here: PostgreSQL would look at all of it again at the end of each test.
        connection.check_constraints()
        yield somebody, world
        transaction.set_rollback(True)


@pytest.fixture
def somebody(matrix: tuple[Somebody, World]) -> Somebody:
    return matrix[0]


@pytest.fixture
def world(matrix: tuple[Somebody, World]) -> World:
    return matrix[1]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of refusals are not logged."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)
