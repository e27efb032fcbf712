"""Importing contacts: what becomes of the rows, by upload, dry run and a drained queue."""

from datetime import date
from decimal import Decimal

import pytest

from apps.core import jobs as long_jobs
from apps.core.transfer import importing
from apps.core.transfer.files import SeenKey
from apps.crm import merging
from apps.crm.models import Attribute, AttributeValue, Category, Contact, ContactTag, Tag
from apps.crm.transfer.models import ContactImport
from apps.engine import jobs
from tests.crm.transfer.conftest import counts, problems, uploaded, xlsx

pytestmark = pytest.mark.django_db

ANNA, BEN, CARA = "+4915112345678", "+4915112345679", "+4915112345670"


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    """Slices of three rows, so that a few rows already show what happens between them."""
    monkeypatch.setattr(importing, "SLICE", 3)
    monkeypatch.setattr(jobs, "SECONDS", 0)


def people():
    return {c.phone or c.email: c.name for c in Contact.objects.all()}


def test_new_people_with_everything_that_a_row_can_say(imported, django_user_model):
    owner = django_user_model.objects.create_user("olga", email="Olga@shop.example")
    size = Attribute.objects.create(name="Shoe size", key="shoe_size", type="number")
    born = Attribute.objects.create(name="Born", key="born", type="date")
    job = imported(
        "Phone Number,E-Mail,Full name,Time zone,Country,Owner,Tags,Category,Shoe size,born\n"
        f'{ANNA},Anna@Example.org,Anna  Arendt,Europe/Berlin,de,olga@shop.example,"VIP; new",'
        "Wholesale,38.5,1990-02-03\n"
    )
    anna = Contact.objects.get()
    assert (anna.phone, anna.email, anna.name) == (ANNA, "anna@example.org", "Anna Arendt")
    assert (anna.timezone, anna.country, anna.owner) == ("Europe/Berlin", "DE", owner)
    assert {str(link) for link in anna.tag_links.all()} == {"VIP", "new"}
    assert [str(link) for link in anna.category_links.all()] == ["Wholesale"]
    values = {v.attribute: (v.number, v.date) for v in anna.attribute_values.all()}
    assert values == {size: (Decimal("38.5"), None), born: (None, date(1990, 2, 3))}
    causes = {
        (row.cause, row.cause_id) for row in [*anna.tag_links.all(), *anna.attribute_values.all()]
    }
    assert causes == {("import", job.pk)}
    assert counts(job) == (1, 0, 0, 0)


def test_a_phone_number_says_who_it_is_else_the_email_address(imported):
    anna = Contact.objects.create(phone=ANNA, name="Anna", email="old@example.org")
    ben = Contact.objects.create(email="ben@example.org", name="Ben")
    job = imported(
        "phone,email,name\n"
        "+49 151 12345678,anna@example.org,Anna A\n"  # the number in another form
        ",BEN@example.org,Ben B\n"
        f"{CARA},ben@example.org,Ben C\n"  # known by email alone: gains the number
        f"{CARA},,Ben D\n"
        ",cara@example.org,Cara\n"
    )
    assert counts(job) == (1, 4, 0, 0)
    anna.refresh_from_db()
    ben.refresh_from_db()
    assert (anna.name, anna.email) == ("Anna A", "anna@example.org")
    assert (ben.name, ben.phone) == ("Ben D", CARA)
    assert Contact.objects.count() == 3


def test_the_same_person_in_several_rows_of_one_slice_and_of_several(imported):
    rows = [f"{ANNA},Anna {n}" for n in range(1, 9)]
    job = imported("phone,name\n" + "\n".join(rows))
    assert counts(job) == (1, 7, 0, 0)
    assert people() == {ANNA: "Anna 8"}


def test_leaving_those_that_are_there(imported):
    Contact.objects.create(phone=ANNA, name="Anna")
    Contact.objects.create(email="ben@example.org", name="Ben")
    job = imported(
        "phone,email,name,tags\n"
        f"{ANNA},,Other,x\n{BEN},ben@example.org,Other,x\n{CARA},,Cara,x\n{CARA},,Twice,y\n",
        policy="skip",
    )
    assert counts(job) == (1, 0, 3, 0)
    assert people() == {ANNA: "Anna", "ben@example.org": "Ben", CARA: "Cara"}
    assert ContactTag.objects.get().contact.phone == CARA


def test_adding_nobody(imported):
    Contact.objects.create(phone=ANNA, name="Anna")
    job = imported(f"phone,name\n{ANNA},Anna A\n{BEN},Ben\n", policy="only_update")
    assert counts(job) == (0, 1, 1, 0)
    assert people() == {ANNA: "Anna A"}


@pytest.mark.parametrize("clear", [False, True])
def test_blank_cells(imported, clear):
    anna = Contact.objects.create(
        phone=ANNA, name="Anna", email="a@example.org", country="DE", timezone="Europe/Berlin"
    )
    ben = Contact.objects.create(email="ben@example.org", name="Ben")
    size = Attribute.objects.create(name="Size", key="size")
    AttributeValue.objects.create(contact=anna, attribute=size, text="M")
    tag = Tag.objects.create(name="vip")
    ContactTag.objects.create(contact=anna, tag=tag)
    job = imported(
        f"phone,email,name,tags,size\n{ANNA},,,,\n,ben@example.org,,,\n", clear_blanks=clear
    )
    assert counts(job) == (0, 2, 0, 0)
    anna.refresh_from_db()
    ben.refresh_from_db()
    assert (anna.name, anna.email) == (("", "") if clear else ("Anna", "a@example.org"))
    assert (anna.country, anna.timezone) == ("DE", "Europe/Berlin")  # no columns of the file
    assert (ben.email, ben.name) == ("ben@example.org", "" if clear else "Ben")
    assert AttributeValue.objects.exists() is not clear
    assert anna.tag_links.count() == 1


def test_a_wrong_cell_refuses_its_row_and_names_the_column(imported):
    Attribute.objects.create(name="Age", key="age", type="number")
    Attribute.objects.create(
        name="Size", key="size", type="choice", choices=[{"choice": "S"}, {"choice": "M"}]
    )
    job = imported(
        "Mobile,Mail,Name,Age,Size,Zone,Land,Owner\n"
        "12,,Short,,,,,\n"
        f"{ANNA},no-mail,Anna,,,,,\n"
        f"{ANNA},,Anna,old,,,,\n"
        f"{ANNA},,Anna,,XL,,,\n"
        f"{ANNA},,Anna,,,Mars,,\n"
        f"{ANNA},,Anna,,,,Germany,\n"
        f"{ANNA},,Anna,,,,,nobody@example.org\n"
        ",,Nobody,,,,,\n"
        ",,,,,,,\n"
        f"{BEN},,{'n' * 201},,,,,\n"
        f"{BEN},,Ben,,,,,,more\n"
        f"{CARA},,Cara,7,m,Europe/Paris,fr,\n"
        f"{CARA}",
        mapping=["phone", "email", "name", "attr.age", "attr.size", "timezone", "country", "owner"],
    )
    assert problems(job) == [
        (2, 'Column "Mobile": "12" is not a valid mobile number: it needs the country code.'),
        (3, 'Column "Mail": "no-mail" is not an email address.'),
        (4, 'Column "Age": "old" is not a number.'),
        (5, 'Column "Size": "XL" is not a choice of "Size": S, M.'),
        (6, 'Column "Zone": "Mars" is not a timezone: write it like Europe/Berlin.'),
        (7, 'Column "Land": "Germany" is not a country: write two letters, like DE.'),
        (8, 'Column "Owner": No user has the email address "nobody@example.org".'),
        (9, "The row has neither a mobile number nor an email address."),
        (11, 'Column "Name": The name is longer than 200 characters.'),
        (
            12,
            "The row has 9 cells, but the first one has 8: quotes may be missing around text that "
            "holds the separator.",
        ),
    ]
    assert counts(job) == (1, 1, 0, 10)
    assert people() == {CARA: "Cara"}


def test_tags_and_categories_ignore_case_and_are_made_where_missing(imported):
    Tag.objects.create(name="VIP")
    imported(
        "phone,tags,categories\n"
        f'{ANNA},vip|New,Shop\n{BEN},"NEW, Vip",shop\n{CARA},ÄRGER,\n{CARA},vip,\n'
    )
    assert sorted(tag.name for tag in Tag.objects.all()) == ["NEW", "VIP", "ÄRGER"] or sorted(
        tag.name for tag in Tag.objects.all()
    ) == ["New", "VIP", "ÄRGER"]
    assert Category.objects.count() == 1
    assert ContactTag.objects.count() == 6


def test_the_dry_run_writes_no_contact(drain, clock):
    Contact.objects.create(phone=ANNA, name="Anna")
    job = uploaded(f"phone,name,tags,categories\n{ANNA},A,x,y\n{BEN},Ben,x,y\n1,,,\n")
    job.begin_dry_run()
    drain()
    job.refresh_from_db()
    assert counts(job) == (1, 1, 0, 1)
    assert people() == {ANNA: "Anna"}
    assert not Tag.objects.exists()
    assert not Category.objects.exists()
    job.begin_import()
    assert not SeenKey.objects.exists()
    assert not job.file.refused.exists()


def test_a_workbook(imported):
    job = imported(
        xlsx(
            ["Phone", "Name", "Age", "Joined"],
            [4915112345678, "Anna, the first", 41, date(2024, 5, 6)],
            [],
            ["+49 151 12345679", 'Ben "B"\nBauer', 41.5, None],
            [None, None, None, None],
            ["x", "Nobody"],
            [CARA, "Cara"],
        ),
        "people.xlsx",
    )
    assert people() == {ANNA: "Anna, the first", BEN: 'Ben "B" Bauer', CARA: "Cara"}
    assert [number for number, _ in problems(job)] == [6]


def test_a_workbook_that_changes_hands_is_read_once(drain, clock, monkeypatch):
    """Two workers take turns: each finds the row where the other stopped."""
    from apps.core.transfer import workbook

    job = uploaded(xlsx(["phone"], *[[f"+4915112345{n:03}"] for n in range(20)]), "people.xlsx")
    job.begin_dry_run()
    kept = [{}, {}]
    for turn in range(200):
        monkeypatch.setattr(workbook, "_open", kept[turn % 2])
        if not jobs.turn():
            break
    job.refresh_from_db()
    assert job.is_checked
    assert counts(job) == (20, 0, 0, 0)


def test_an_attribute_that_was_deleted_meanwhile(drain, clock):
    attribute = Attribute.objects.create(name="Age", key="age")
    job = uploaded(f"phone,age\n{ANNA},4\n")
    attribute.delete()
    job.begin_dry_run()
    drain()
    job.refresh_from_db()
    assert (job.state, job.note) == (
        "failed",
        'The attribute "age" was deleted: choose the columns anew.',
    )


def test_cancelled_and_resumed(drain, clock):
    job = uploaded("phone\n" + "".join(f"+4915112345{n:03}\n" for n in range(10)))
    job.begin_import()
    jobs.turn()
    assert Contact.objects.count() == 2  # the header is a row of the slice, too
    ContactImport.cancel(job.pk)
    drain()
    assert Contact.objects.count() == 2
    ContactImport.resume(job.pk)
    drain()
    job.refresh_from_db()
    assert (job.state, counts(job)) == ("done", (10, 0, 0, 0))
    assert Contact.objects.count() == 10


def test_somebody_else_creates_the_same_person_meanwhile(drain, clock, monkeypatch):
    from apps.crm.transfer import people as writing

    job = uploaded(f"phone,name\n{ANNA},Anna\n")
    job.begin_import()
    insert, others = writing.rows.insert_new, [ANNA]

    def slower(new):
        for phone in others[:]:
            others.remove(phone)
            return []  # what ON CONFLICT DO NOTHING gives when somebody was faster
        return insert(new)

    monkeypatch.setattr(writing.rows, "insert_new", slower)
    drain()
    job.refresh_from_db()
    assert (job.state, job.tries, counts(job)) == ("done", 0, (1, 0, 0, 0))
    assert people() == {ANNA: "Anna"}


def test_a_slice_costs_the_same_number_of_queries_however_many_rows(
    clock, monkeypatch, django_assert_max_num_queries
):
    Attribute.objects.create(name="Age", key="age")
    monkeypatch.setattr(importing, "SLICE", 1000)
    body = "".join(f"+49151{n:08},N{n},t{n % 7},c{n % 3},{n}\n" for n in range(12345000, 12345500))
    job = uploaded("phone,name,tags,categories,age\n" + body)
    job.begin_import()
    with django_assert_max_num_queries(32):
        jobs.turn()
    assert Contact.objects.count() == 500


def test_both_tables_are_known_as_long_jobs():
    names = {kind.__name__ for kind in long_jobs.KINDS}
    assert {"ContactImport", "ContactExport"} <= names


def test_a_number_is_one_person_in_either_spelling(imported):
    ana = Contact.objects.create(phone="+551187654321", name="Ana")
    job = imported(
        "phone,name\n+5511987654321,Ana B\n+525512345678,Eva\n"
        # In the next slice.
        ",\n+5215512345678,Eva B\n+551187654321,Ana C\n"
    )
    assert counts(job) == (1, 3, 0, 0)
    ana.refresh_from_db()
    assert (ana.phone, ana.name) == ("+551187654321", "Ana C")
    assert people() == {"+551187654321": "Ana C", "+525512345678": "Eva B"}


def test_who_was_merged_is_the_one_that_stayed(imported):
    anna = Contact.objects.create(phone=ANNA, name="Anna")
    mail = Contact.objects.create(email="mail@example.org", name="Mail")
    for loser in (
        Contact.objects.create(phone=BEN, email="ben@example.org"),
        Contact.objects.create(email="second@example.org"),
    ):
        merging.merge(loser.pk, (anna if loser.phone else mail).pk, "ben")
    job = imported(
        f"phone,email,name,tags\n{BEN},,Anna B,vip\n,second@example.org,Mail B,\n"
        f",ben@example.org,,new\n"
    )
    assert counts(job) == (0, 3, 0, 0)
    assert people() == {ANNA: "Anna B", "mail@example.org": "Mail B"}
    assert {str(link) for link in anna.tag_links.all()} == {"vip", "new"}
    assert not ContactTag.objects.exclude(contact=anna).exists()
    mail.refresh_from_db()
    assert mail.email == "mail@example.org"
