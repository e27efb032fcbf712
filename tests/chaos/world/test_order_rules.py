"""The model's rules of order: what went before its turn is found, what a merge parted excused."""

import json

import pytest

from tests.chaos.world.made_up import line, peaceful, rules
from tests.chaos.world.record import Record

pytestmark = pytest.mark.once


@pytest.fixture
def record() -> Record:
    return peaceful()


def test_a_run_began_before_the_one_before_it_had_ended(record):
    last = line(record, "put", run=3)
    line(record, "Field mapping", run=4)["id"] = last["id"] - 0.7
    line(record, "before", run=4)["id"] = last["id"] - 0.5
    assert rules(record) == ["order"]


def test_runs_went_in_another_order_than_they_were_accepted(record):
    record.posts[1], record.posts[2] = (
        {**record.posts[1], "at": 30.0, "until": 31.0},
        {**record.posts[2], "at": 20.0, "until": 21.0},
    )
    assert rules(record) == ["order"]


def test_runs_of_a_contact_that_was_merged_and_parted_meanwhile_keep_no_order(record):
    record.posts[1], record.posts[2] = (
        {**record.posts[1], "at": 30.0, "until": 31.0},
        {**record.posts[2], "at": 20.0, "until": 21.0},
    )
    later = max(told["at"] for told in record.lines if told["run_id"] == 4)
    undo = {"move": "undo", "at": 25.0, "until": 26.0, "ids": [9, 10], "sure": True}
    for told in record.lines:
        told["at"] += 30.0
    record.moves = [undo]
    assert rules(record) == []
    for other in ({"at": 15.0}, {"at": later + 40.0}, {"ids": [10, 11]}):
        record.moves = [{**undo, **other}]
        assert rules(record) == ["order"]


def test_nor_do_those_of_contacts_that_were_merged_into_them_before(record):
    record.posts[1], record.posts[2] = (
        {**record.posts[1], "at": 30.0, "until": 31.0},
        {**record.posts[2], "at": 20.0, "until": 21.0},
    )
    for told in record.lines:
        told["at"] += 30.0
    record.contacts += [{"id": n, "phone": str(n), "merged_into_id": None} for n in (10, 11)]
    merge = {"move": "merge", "at": 5.0, "until": 6.0, "ids": [9, 10], "sure": True, "said": True}
    undo = {**merge, "move": "undo", "at": 25.0, "until": 26.0, "ids": [10, 11]}
    record.moves = [merge, undo]
    assert rules(record) == []
    record.moves = [undo]  # nobody had merged it into 10
    assert rules(record) == ["order"]
    record.merges = [{"loser_id": 9, "survivor_id": 10}]  # but somebody had, unheard
    assert rules(record) == []
    record.merges = []
    record.moves = [merge, {**merge, "move": "undo", "at": 7.0}, undo]  # and it was undone before
    assert rules(record) == ["order"]


def test_merged_contacts_kept_no_order_with_each_other(record):
    record.contacts.append({"id": 10, "phone": "other", "merged_into_id": None})
    said = json.loads(record.events[2]["body"])
    record.events[2]["body"] = json.dumps({**said, "phone": "other"})
    record.notes[-2]["contact_id"] = 10
    last = line(record, "put", run=3)
    line(record, "Field mapping", run=4)["id"] = last["id"] - 0.7
    line(record, "before", run=4)["id"] = last["id"] - 0.5
    assert rules(record) == []
    merge = {"move": "merge", "at": 9.0, "until": 10.0, "ids": [10, 9], "sure": True, "said": True}
    record.moves = [merge]
    assert rules(record) == ["merged"]
    record.moves = [merge, {**merge, "move": "undo", "at": 15.0}]
    assert rules(record) == []
