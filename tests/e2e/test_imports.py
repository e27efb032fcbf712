"""Importing and exporting contacts in a browser, from the file to the error file."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.crm.models import Contact
from tests.factories import AttributeFactory

pytestmark = pytest.mark.django_db

ROWS = (
    "Mobile;Full name;Birthday;Comment\n"
    "+49 151 12345678;Anna;1990-02-03;first\n"
    "0151;Ben;;\n"
    "+49 151 12345679;Cara;in May;"
    "a long comment that goes on and on and on and on and on and on and on and on\n"
)


@pytest.fixture
def file(tmp_path):
    AttributeFactory(name="Birthday", key="birthday", type="date")
    path = tmp_path / "customers.csv"
    path.write_text(ROWS)
    return path


def test_from_file_to_error_file(owner_page: Page, file, drain):
    owner_page.goto(reverse("admin:crm_contact_changelist"))
    owner_page.get_by_role("link", name="Import", exact=True).click()
    owner_page.get_by_label("File", exact=True).set_input_files(file)
    owner_page.get_by_role("button", name="Upload").click()

    expect(owner_page.get_by_label("Mobile", exact=True)).to_have_value("phone")
    expect(owner_page.get_by_label("Birthday", exact=True)).to_have_value("attr.birthday")
    expect(owner_page.get_by_label("Comment", exact=True)).to_have_value("")
    owner_page.get_by_label("Mobile", exact=True).select_option("")
    owner_page.get_by_role("button", name="Start dry run").click()
    expect(owner_page.get_by_role("alert")).to_contain_text("Choose the column of the mobile")
    owner_page.get_by_label("Mobile", exact=True).select_option("phone")
    owner_page.get_by_role("button", name="Start dry run").click()

    expect(owner_page.get_by_role("progressbar")).to_be_visible()
    drain()
    expect(owner_page.get_by_text("Nothing has been written so far.")).to_be_visible()
    expect(owner_page.get_by_role("cell", name='Column "Birthday": "in May"')).to_be_visible()
    assert not Contact.objects.exists()

    owner_page.get_by_role("button", name="Start import").click()
    expect(owner_page.get_by_role("button", name="Cancel")).to_be_visible()
    drain()
    expect(owner_page.get_by_text("Imported", exact=True)).to_be_visible()
    assert Contact.objects.get().name == "Anna"
    with owner_page.expect_download() as download:
        owner_page.get_by_role("link", name="Download error file").click()
    assert download.value.suggested_filename == "customers-errors.csv"


def test_cancel_and_resume(owner_page: Page, file, drain):
    owner_page.goto(reverse("admin:transfer_contactimport_add"))
    owner_page.get_by_label("File", exact=True).set_input_files(file)
    owner_page.get_by_role("button", name="Upload").click()
    owner_page.get_by_role("button", name="Start dry run").click()
    owner_page.get_by_role("button", name="Cancel").click()
    expect(owner_page.get_by_text("Cancelled", exact=True)).to_be_visible()
    owner_page.get_by_role("button", name="Resume").click()
    expect(owner_page.get_by_role("progressbar")).to_be_visible()
    drain()
    expect(owner_page.get_by_text("Dry run done", exact=True)).to_be_visible()


def test_an_export(owner_page: Page, drain):
    Contact.objects.create(phone="+4915112345678", name="Anna")
    owner_page.goto(reverse("admin:crm_contact_changelist"))
    owner_page.get_by_role("link", name="Export", exact=True).click()
    owner_page.get_by_label("Format").select_option("xlsx")
    owner_page.get_by_role("button", name="Start export").click()
    expect(owner_page.get_by_role("progressbar")).to_be_visible()
    drain()
    with owner_page.expect_download() as download:
        owner_page.get_by_role("link", name="Download", exact=True).click()
    assert download.value.suggested_filename.endswith(".xlsx")


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_screen(owner_page: Page, file, drain, width):
    owner_page.set_viewport_size({"width": width, "height": 844})

    def fits():
        overhang = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert owner_page.evaluate(overhang) <= 0

    owner_page.goto(reverse("admin:transfer_contactimport_add"))
    fits()
    owner_page.get_by_label("File", exact=True).set_input_files(file)
    owner_page.get_by_role("button", name="Upload").click()
    owner_page.get_by_role("button", name="Start dry run").wait_for()
    fits()
    owner_page.get_by_role("button", name="Start dry run").click()
    drain()
    owner_page.get_by_text("Dry run done").wait_for()
    fits()
    owner_page.goto(reverse("admin:transfer_contactexport_add"))
    fits()
