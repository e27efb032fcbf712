"""The pages of imports and exports: upload, columns, dry run, start, files, permissions."""

import csv
import io

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.core.transfer.files import StoredFile, prune
from apps.crm.models import Attribute, Contact, Tag
from apps.crm.transfer.models import ContactExport, ContactImport
from tests.crm.transfer.conftest import uploaded

pytestmark = pytest.mark.django_db

FILE = (
    "Phone;Name;=danger;Age\n"
    "+4915112345678;Anna;x;41\n"
    "12;=1+1;@y;old\n"
    '+4915112345679;"<b>Ben</b>";;\n'
)
LISTS = {ContactImport: "transfer_contactimport", ContactExport: "transfer_contactexport"}


@pytest.fixture
def owner(admin_client):
    return admin_client


def upload(client, content=FILE, name="people.csv", **data):
    raw = content.encode() if isinstance(content, str) else content
    data["file"] = SimpleUploadedFile(name, raw)
    return client.post(reverse("admin:transfer_contactimport_add"), data)


def page(job, name="change"):
    model = "contactimport" if isinstance(job, ContactImport) else "contactexport"
    return reverse(f"admin:transfer_{model}_{name}", args=[job.pk])


def text(response):
    return response.content.decode()


def test_from_upload_to_error_file(owner, drain, clock):
    Attribute.objects.create(name="Age", key="age", type="number")
    answer = upload(owner)
    job = ContactImport.objects.get()
    assert answer["Location"] == page(job, "columns")
    assert job.mapping == ["phone", "name", "", "attr.age"]
    assert (job.state, job.delimiter) == ("draft", ";")
    assert owner.get(page(job))["Location"] == page(job, "columns")

    form = text(owner.get(page(job, "columns")))
    assert "&lt;b&gt;Ben&lt;/b&gt;" in form
    assert '<option value="attr.age" selected>Age</option>' in form
    sent = {"column": job.mapping, "has_header": "on", "policy": "update", "blanks": "leave"}
    assert '<input type="checkbox" name="tells">' in form
    assert owner.post(page(job, "columns"), {**sent, "tells": "on"})["Location"] == page(job)
    job.refresh_from_db()
    assert job.tells
    assert "data-poll" in text(owner.get(page(job)))
    drain()

    checked = text(owner.get(page(job)))
    assert "data-poll" not in checked
    assert "Dry run done" in checked
    assert "would be added" in checked
    assert "is not a valid mobile number: it needs the country code." in checked
    assert not Contact.objects.exists()
    owner.post(page(job, "start"))
    drain()
    done = text(owner.get(page(job)))
    assert "Imported" in done
    assert "Start import" not in done
    assert Contact.objects.count() == 2

    errors = owner.get(page(job, "errors"))
    assert errors["Content-Disposition"] == 'attachment; filename="people-errors.csv"'
    rows = list(csv.reader(io.StringIO(errors.getvalue().decode("utf-8-sig"))))
    assert rows == [
        ["Row", "Problem", "Phone", "Name", "'=danger", "Age"],
        [
            "3",
            'Column "Phone": "12" is not a valid mobile number: it needs the country code.',
            "12",
            "'=1+1",
            "'@y",
            "old",
        ],
    ]


def test_the_error_file_corrected_can_be_imported(owner, drain, clock, imported):
    job = imported("phone,name\n12,=Anna\n")
    corrected = owner.get(page(job, "errors")).getvalue().replace(b",12,", b",+4915112345678,")
    again = imported(corrected)
    assert (again.created, again.refused) == (1, 0)
    assert Contact.objects.get().name == "=Anna"


def test_an_import_starts_once_and_after_its_dry_run(owner, drain, clock):
    job = uploaded("phone\n+4915112345678\n")
    for _ in range(2):
        owner.post(page(job, "start"))
    job.refresh_from_db()
    assert job.state == "draft"
    job.begin_dry_run()
    owner.post(page(job, "start"))
    drain()
    for _ in range(2):
        owner.post(page(job, "start"))
        drain()
    job.refresh_from_db()
    assert (job.phase, job.state, job.created) == ("write", "done", 1)
    assert owner.get(page(job, "columns"))["Location"] == page(job)
    owner.post(page(job, "columns"), {"column": ["phone"]})
    job.refresh_from_db()
    assert job.phase == "write"


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["name", ""], "Choose the column of the mobile number or of the email address"),
        (["phone", "phone"], "Several columns go into &quot;Mobile number&quot;"),
        (["nonsense", "__class__"], "Choose the column of the mobile number"),
    ],
)
def test_columns_that_can_not_be_imported(owner, columns, sentence):
    job = uploaded("a,b\n1,2\n")
    answer = owner.post(page(job, "columns"), {"column": columns, "policy": "skip"})
    assert sentence in text(answer)
    assert 'value="skip" checked' in text(answer)
    job.refresh_from_db()
    assert job.state == "draft"


def test_headers_that_are_missing_blank_or_twice():
    job = uploaded("Name, Name ,,phone\nAnna,A,x,+4915112345678\n")
    assert job.headers == ["Name", "Name (2)", "Column 3", "phone"]
    assert job.mapping == ["name", "", "", "phone"]
    job = uploaded("+4915112345678,Anna\n")
    assert (job.has_header, job.headers) == (False, ["Column 1", "Column 2"])


def test_a_file_without_headers(imported):
    job = imported("+4915112345678,Anna\n+4915112345679,Ben\n", mapping=["phone", "name"])
    assert (job.created, job.row) == (2, 2)


def test_what_can_not_be_read_is_said(owner):
    assert "The file is empty." in text(upload(owner, ""))
    assert "Choose a file." in text(owner.post(reverse("admin:transfer_contactimport_add")))
    assert not ContactImport.objects.exists()


def test_cancel_and_resume(owner, drain, clock):
    job = uploaded("phone\n+4915112345678\n")
    job.begin_dry_run()
    assert "Cancel" in text(owner.get(page(job)))
    owner.post(page(job, "cancel"))
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert "Resume" in text(owner.get(page(job)))
    owner.post(page(job, "resume"))
    drain()
    job.refresh_from_db()
    assert job.is_checked
    for view in ("cancel", "resume", "start"):
        assert owner.get(page(job, view)).status_code == 405


def test_an_export_and_its_file(owner, drain, clock):
    Contact.objects.create(phone="+4915112345678", name="Ännä")
    tag = Tag.objects.create(name="vip")
    owner.post(reverse("admin:transfer_contactexport_add"), {"form": "csv", "tag": tag.pk})
    owner.post(reverse("admin:transfer_contactexport_add"), {"form": "xlsx", "search": "Änn"})
    by_tag, by_name = ContactExport.objects.order_by("pk")
    assert by_tag.described == 'tag "vip"'
    assert owner.get(page(by_name, "download")).status_code == 404
    drain()
    assert "Download" in text(owner.get(page(by_name)))
    answer = owner.get(page(by_name, "download"))
    assert answer["Content-Disposition"] == 'attachment; filename="contacts-2026-03-02.xlsx"'
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.getvalue().startswith(b"PK")
    by_tag.refresh_from_db()
    assert (by_tag.state, by_tag.done) == ("done", 0)


def test_files_are_dropped_after_their_time(owner, imported, clock):
    job = imported("phone\n+4915112345678\n12\n")
    clock.tick(days=6)
    assert prune() == 0
    clock.tick(days=2)
    assert prune() == 1
    assert not StoredFile.objects.exists()
    shown = text(owner.get(page(job)))
    assert "dropped" in shown
    assert "error file" not in shown
    assert owner.get(page(job, "errors")).status_code == 404


def test_a_job_whose_file_was_dropped_says_so(drain, clock):
    job = uploaded("phone\n+4915112345678\n")
    clock.tick(days=8)
    prune()
    job.refresh_from_db()
    job.begin_dry_run()
    drain()
    job.refresh_from_db()
    assert job.note == "The file is no longer kept: upload it again."


# --- who may ------------------------------------------------------------------------------------

IMPORT = ["add_contactimport", "add_contact", "change_contact"]
EXPORT = ["add_contactexport", "view_contact"]


def staff(*codenames):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("missing", [None, *IMPORT])
def test_importing_needs_the_permissions_to_write_contacts(missing, drain, clock):
    client = staff("view_contactimport", *(name for name in IMPORT if name != missing))
    job = uploaded("phone\n+4915112345678\n")
    expected = 403 if missing else 302
    assert upload(client).status_code == expected
    assert client.post(page(job, "columns"), {"column": ["phone"]}).status_code == expected
    assert client.post(page(job, "start")).status_code == expected
    assert client.post(page(job, "cancel")).status_code == expected
    assert client.post(page(job, "resume")).status_code == expected


@pytest.mark.parametrize("missing", [None, *EXPORT])
def test_exporting_needs_the_permission_to_see_contacts(missing, drain, clock):
    client = staff("view_contactexport", *(name for name in EXPORT if name != missing))
    job = ContactExport(described="All contacts")
    job.begin()
    drain()
    sent = client.post(reverse("admin:transfer_contactexport_add"), {"form": "csv"})
    assert sent.status_code == (403 if missing else 302)
    downloaded = client.get(page(job, "download"))
    assert downloaded.status_code == (403 if missing == "view_contact" else 200)


def test_who_may_do_nothing_sees_nothing(drain, clock):
    client = staff()
    job = uploaded("phone\n+4915112345678\n12\n")
    job.begin_dry_run()
    export = ContactExport(described="All contacts")
    export.begin()
    drain()
    for one in (job, export):
        for name in ("change", "progress"):
            assert client.get(page(one, name)).status_code == 403
            assert Client().get(page(one, name)).status_code == 302
        assert client.get(reverse(f"admin:{LISTS[type(one)]}_changelist")).status_code == 403
    assert client.get(page(job, "errors")).status_code == 403
    assert client.get(page(export, "download")).status_code == 403


def test_lists_cost_the_same_number_of_queries(owner, django_assert_max_num_queries):
    for _ in range(10):
        uploaded("phone\n+4915112345678\n")
        ContactExport(described="All contacts").begin()
    for name in LISTS.values():
        with django_assert_max_num_queries(8):
            assert owner.get(reverse(f"admin:{name}_changelist")).status_code == 200
