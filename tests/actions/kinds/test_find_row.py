import pytest

from apps.actions.kinds.filter import Filter
from apps.actions.kinds.find_row import FindRow
from apps.actions.kinds.map_contact import MapContact
from apps.crm.models import Contact
from apps.engine.models import Run
from tests.datastore.made import add_row, column, made_table
from tests.factories import published

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    table = made_table(
        phone="key text", title="text", visits="number", born="date", at="datetime", ok="boolean"
    )
    values = {"visits": "2", "born": "1990-05-01", "at": "2026-03-02T12:00", "ok": "yes"}
    add_row(table, phone="+4915112345678", title="Ana", **values)
    add_row(table, phone="+4915112345679", title="ana")
    return table


def finding(table, key="title", operator="text:is", value="{{ event.name }}", **more):
    condition = {"column": column(table, key), "operator": operator, "value": value}
    return FindRow, {"table": table, "label": "Who", "rows": {"conditions": [condition]}, **more}


def test_the_values_of_the_first_row_are_read_by_later_actions(happen, told, people):
    mapping = (
        MapContact,
        {"phone": "{{ storage.who.row.phone }}", "name": "{{ storage.who.row.title }}"},
    )
    run = happen([finding(people), mapping], event={"name": "ANA"})
    assert Contact.objects.get().name == "Ana"
    entry = told(run, "find_row")
    assert (entry.result, entry.note) == ("done", "1 row found")
    assert entry.came_out == {
        "found": True,
        "count": 1,
        "row_id": entry.came_out["row_id"],
        "row": {
            "phone": "+4915112345678",
            "title": "Ana",
            "visits": 2,
            "born": "1990-05-01",
            "at": "2026-03-02T12:00:00+00:00",
            "ok": True,
        },
    }


def test_values_keep_their_types_for_filters(happen, told, people):
    conditions = [
        {"left": "storage.who.row.visits", "operator": "number:equals", "right": "2.0"},
        {"left": "storage.who.row.born", "operator": "date:before", "right": "2000-01-01"},
        {"left": "storage.who.row.at", "operator": "datetime:is", "right": "{{ now }}"},
        {"left": "storage.who.found", "operator": "text:is", "right": "true"},
    ]
    run = happen([finding(people), (Filter, {"conditions": conditions})], event={"name": "Ana"})
    assert told(run, "filter").note == "Passed"


def test_all_matches_are_counted(happen, told, people):
    run = happen([finding(people, which="all")], event={"name": "Ana"})
    entry = told(run, "find_row")
    assert (entry.came_out["count"], entry.came_out["row"]["title"]) == (2, "Ana")


def test_nothing_found_is_a_success(happen, told, people):
    run = happen([finding(people)], event={"name": "Ben"})
    entry = told(run, "find_row")
    assert (entry.result, entry.note) == ("done", "No row matched")
    assert entry.came_out == {"found": False, "count": 0, "row_id": None, "row": {}}


def test_a_value_of_another_type_finds_nothing_and_says_why(happen, told, people):
    run = happen([finding(people, "visits", "number:equals")], event={"name": "two"})
    entry = told(run, "find_row")
    assert entry.came_out["found"] is False
    assert entry.went_in["conditions"] == [
        {"condition": "Visits equals", "value": "two", "warning": '"two" is not a number'}
    ]


def test_it_takes_no_lock_and_a_turn_done_again_finds_the_same(happen, lost_turn, people):
    run = happen([finding(people)], event={"name": "Ana"})
    assert (lost_turn, run.state) == ([True], "done")
    assert run.values["storage"]["who"]["row"]["title"] == "Ana"
    assert FindRow().touches_shared() is False


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_a_table_that_is_gone_fails(post, drain, clock, told, people, on_error, state):
    connector = published([finding(people, on_error=on_error)])
    FindRow.objects.all().delete()
    people.delete()
    post(connector, {"name": "Ana"})
    drain()
    run = Run.objects.get()
    assert (told(run, "find_row").note, run.state) == ('Table "Orders" was deleted', state)


def test_what_is_missing_is_a_problem(people):
    assert FindRow().problems() == ["Choose a table.", "Add at least one condition."]
    published([finding(people)])
    assert FindRow.objects.get().summary() == "Orders: Title is {{ event.name }}"
