"""Two worker processes and an operator at one table: one key wins, nothing is lost."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from apps.actions.kinds.create_row import CreateRow
from apps.actions.kinds.update_row import UpdateRow
from apps.datastore.models import Cell, Row
from apps.datastore.tables.sheets import take_in
from apps.engine.models import Attempt, Run
from tests.datastore.made import add_row, column, made_table
from tests.factories import published

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

RUNS = 200
WORKER = """
import django
django.setup()
from apps.engine.drain import Drain
from apps.engine.models import Run
drain = Drain()
while Run.objects.exclude(state__in=["done", "failed"]).exists():
    drain.step()
"""


def start_worker():
    database = connection.settings_dict
    at = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT'] or 5432}"
    environment = {
        **os.environ,
        "TEST_DATABASE_URL": f"postgresql://{at}/{database['NAME']}",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    return subprocess.Popen([sys.executable, "-c", WORKER], env=environment)


def test_of_two_hundred_rows_with_one_key_exactly_one_is_added(post):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one worker")
    table = made_table(code="key text", hits="number")
    add_row(table, code="counted", hits="0")
    adding = {"values": [{"column": column(table, "code"), "value": "{{ event.code }}"}]}
    is_counted = {
        "column": column(table, "code"),
        "operator": "text:in_list",
        "value": "counted,sheet 7",
    }
    changing = {
        "conditions": [is_counted],
        "values": [{"column": column(table, "hits"), "value": "{{ event.n }}"}],
    }
    steps = [
        (CreateRow, {"table": table, "rows": adding}),
        (UpdateRow, {"table": table, "rows": changing, "which": "all"}),
    ]
    connector = published(steps)
    for number in range(RUNS):
        post(connector, {"code": ["Same", "same ", " SAME"][number % 3], "n": number})
    workers = [start_worker() for _ in range(2)]
    try:
        sheet = "code,hits\n" + "".join(f"sheet {n},1\n" for n in range(50))
        uploads = 0
        while any(worker.poll() is None for worker in workers):
            take_in(table, sheet.encode())
            uploads += 1
        assert [worker.wait(60) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    assert uploads > 1
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}
    assert Row.objects.filter(key_value="same").count() == 1
    assert Row.objects.count() == Cell.objects.filter(column=column(table, "code")).count() == 52
    entries = Attempt.objects.filter(kind="create_row")
    assert entries.filter(result="done").count() == 1
    notes = entries.filter(result="failed").values_list("note", flat=True)
    assert len(notes) == RUNS - 1
    assert {note.lower() for note in notes} == {'a row with the key "same" exists already.'}
    assert Attempt.objects.filter(kind="update_row", result="done").count() == RUNS
