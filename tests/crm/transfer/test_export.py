"""Exporting contacts: what stands in the file, and that it comes back as it was."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from openpyxl import load_workbook

from apps.core.transfer import exporting, importing
from apps.core.transfer.neutral import neutral, restore
from apps.crm import erasing, merging
from apps.crm.models import (
    Attribute,
    AttributeValue,
    Category,
    Contact,
    ContactCategory,
    ContactTag,
    Tag,
)
from apps.crm.transfer.models import ContactExport
from apps.engine import jobs

pytestmark = pytest.mark.django_db

ANNA, BEN = "+4915112345678", "+4915112345679"
NASTY = [
    "=1+1",
    "@SUM(A1)",
    "-cmd|' /C calc'!A0",
    "+HYPERLINK(1)",
    "'=quoted",
    "''=twice",
    'a "quoted", comma',
    "two\nlines",
    "Łódź 東京 🎈",
    "'plain",
    "=",
]


@pytest.fixture
def exported(drain, clock):
    def run(**columns):
        job = ContactExport(**columns)
        job.described = job.describe()
        job.begin()
        drain()
        job.refresh_from_db()
        assert job.state == "done", job.note
        return job

    return run


def cells(job):
    raw = b"".join(job.content())
    if job.form == "csv":
        assert raw.startswith(b"\xef\xbb\xbf")
        return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    sheet = load_workbook(io.BytesIO(raw)).active
    return [[cell.value or "" for cell in row] for row in sheet.iter_rows()]


def everything():
    """All that an export tells of contacts, by who they are."""
    return {
        (c.phone, c.email): (
            c.name,
            c.timezone,
            c.country,
            c.owner_id,
            sorted(str(link) for link in c.tag_links.all()),
            sorted(str(link) for link in c.category_links.all()),
            sorted((str(v.attribute), v.value) for v in c.attribute_values.all()),
        )
        for c in Contact.objects.all()
    }


@pytest.fixture
def people(django_user_model):
    owner = django_user_model.objects.create_user("olga", email="olga@shop.example")
    attributes = {
        kind: Attribute.objects.create(
            name=f"My {kind}", key=kind, type=kind, choices=[{"choice": "-S"}]
        )
        for kind in ("text", "number", "date", "datetime", "choice")
    }
    Attribute.objects.create(name="Name", key="second_name")
    anna = Contact.objects.create(
        phone=ANNA, email="anna@example.org", name="=Anna", country="DE", owner=owner
    )
    for kind, column, value in [
        ("text", "text", "+49 151 12345678"),
        ("number", "number", Decimal("-0.0000012")),
        ("date", "date", date(2024, 2, 29)),
        ("datetime", "datetime", datetime(2024, 2, 29, 0, 0, 0, 5, tzinfo=UTC)),
        ("choice", "text", "-S"),
    ]:
        AttributeValue.objects.create(contact=anna, attribute=attributes[kind], **{column: value})
    for name in ("=tag", "vip"):
        ContactTag.objects.create(contact=anna, tag=Tag.objects.create(name=name))
    ContactCategory.objects.create(contact=anna, category=Category.objects.create(name="@home"))
    for number, name in enumerate(NASTY):
        Contact.objects.create(email=f"n{number}@example.org", name=name.replace("\n", " "))
    return attributes


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_what_is_exported_is_imported_as_it_was(exported, imported, people, form, monkeypatch):
    monkeypatch.setattr(exporting, "SLICE", 4)
    monkeypatch.setattr(importing, "SLICE", 4)
    before = everything()
    raw = b"".join(exported(form=form).content())
    Contact.objects.all().delete()
    Tag.objects.all().delete()
    job = imported(raw, f"people.{form}")
    assert job.mapping[:8] == [
        "phone", "email", "name", "timezone", "country", "owner", "tags", "categories",
    ]  # fmt: skip
    assert everything() == before
    assert job.created == len(before)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_no_cell_is_a_formula_and_numbers_stay(exported, people, form):
    table = cells(exported(form=form))
    header, anna, *others = table
    assert header[:3] == ["Mobile number", "Email", "Name"]
    assert "attr.second_name" in header  # its name is taken
    assert anna[0] == ANNA
    assert anna[2] == "'=Anna"
    for row in [anna, *others]:
        for cell in row:
            assert cell[:1] not in ("=", "@", "-") or cell.lstrip("-").replace(".", "").isdigit()
            assert not cell.startswith("+") or cell[1:].replace(" ", "").isdigit()


@pytest.mark.parametrize("cell", [*NASTY, ANNA, "+49 151 12345678", "-12.5", "", "'", "\t=1", "\r"])
def test_neutral_is_undone_by_restore(cell):
    assert restore(neutral(cell)) == cell


@pytest.mark.parametrize(
    "cell", ["=1", "+1+1", "-1-1", "@x", "\tx", "\rx", "\nx", "+49 151=1", "-1 cmd"]
)
def test_formulas_get_an_apostrophe(cell):
    assert neutral(cell) == f"'{cell}"


def test_only_those_that_were_asked_for(exported, people):
    tag, category = Tag.objects.get(name="vip"), Category.objects.get()

    def names(**columns):
        return [row[2] for row in cells(exported(**columns))[1:]]

    assert names(tag=tag) == names(category=category) == names(search=ANNA) == ["'=Anna"]
    assert names(search="N1@example.org") == ["'@SUM(A1)"]
    assert names(search="łódź") == ["Łódź 東京 🎈"] or names(search="Łódź") == ["Łódź 東京 🎈"]
    assert names(search="nobody of that name") == []
    assert len(names()) == len(NASTY) + 1


def test_a_tag_that_is_deleted_meanwhile_does_not_export_everybody(drain, clock, people):
    tag = Tag.objects.get(name="vip")
    job = ContactExport(tag=tag)
    job.described = job.describe()
    job.begin()
    tag.delete()
    drain()
    job.refresh_from_db()
    assert (job.state, job.done) == ("failed", 0)
    assert job.note == "The tag or category was changed or deleted meanwhile: begin a new export."


def test_cancelled_and_resumed(drain, clock, people, monkeypatch):
    monkeypatch.setattr(exporting, "SLICE", 5)
    monkeypatch.setattr(jobs, "SECONDS", 0)
    job = ContactExport(described="All contacts")
    job.begin()
    jobs.turn()
    ContactExport.cancel(job.pk)
    drain()
    ContactExport.resume(job.pk)
    drain()
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", len(NASTY) + 1)
    assert len(cells(job)) == len(NASTY) + 2


def test_nobody_at_all(exported):
    assert len(cells(exported())) == 1
    assert len(cells(exported(form="xlsx"))) == 1


def test_a_slice_costs_the_same_number_of_queries_however_many_contacts(
    clock, django_assert_max_num_queries
):
    Contact.objects.bulk_create(Contact(email=f"c{n}@example.org") for n in range(500))
    job = ContactExport(described="All contacts")
    job.begin()
    with django_assert_max_num_queries(20):
        jobs.turn()
    job.refresh_from_db()
    assert job.done == 500


def test_who_was_merged_or_deleted_is_left_out(exported):
    anna, ben, cara = (Contact.objects.create(phone=f"+491511234567{n}") for n in range(3))
    merging.merge(ben.pk, anna.pk, "olga")
    erasing.delete_contact(cara)
    assert [row[0] for row in cells(exported())[1:]] == [anna.phone]


@pytest.mark.parametrize("searched", ["+5511987654321", "+551187654321"])
def test_a_number_is_searched_in_either_spelling(exported, searched):
    Contact.objects.create(phone="+551187654321")
    assert [row[0] for row in cells(exported(search=searched))[1:]] == ["+551187654321"]
