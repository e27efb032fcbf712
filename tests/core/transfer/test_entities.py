"""No workbook that declares XML entities is read: they multiply, or name files and servers."""

import re
import resource

import pytest

from apps.core.transfer import xlsx
from tests.core.transfer.test_hostile_files import book, refusal, rewritten, with_shared_texts

pytestmark = pytest.mark.django_db

LEVELS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
DECLARED = {
    "a billion laughs": (f'<!ENTITY l0 "lol">{LEVELS}', "&l11;"),
    "one long entity, many times": (f'<!ENTITY l "{"x" * 50_000}">', "&l;" * 10_000),
    "one small entity": ('<!ENTITY l "lol">', "&l;"),
    "one that nothing refers to": ('<!ENTITY l "lol">', ""),
    "a file of this host": ('<!ENTITY l SYSTEM "file:///etc/passwd">', "&l;"),
    "something elsewhere": ('<!ENTITY l SYSTEM "http://127.0.0.1:9/x">', "&l;"),
    "a parameter": ('<!ENTITY % l SYSTEM "http://127.0.0.1:9/x.dtd"> %l;', ""),
}


def declaring(raw, part, declared):
    """The workbook with entities declared in one of its parts, and referred to in its root."""
    declarations, referred = (text.encode() for text in DECLARED[declared])

    def change(xml):
        start = re.search(rb"<(?![?!])[^>]*>", xml)
        head, root, rest = xml[: start.start()], start.group(), xml[start.end() :]
        return head + b"<!DOCTYPE x [" + declarations + b"]>" + root + referred + rest

    return rewritten(raw, part, change)


@pytest.mark.once
@pytest.mark.parametrize("declared", DECLARED)
@pytest.mark.parametrize(
    "part",
    [
        "xl/worksheets/sheet1.xml",
        "xl/sharedStrings.xml",
        "xl/styles.xml",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "[Content_Types].xml",
    ],
)
def test_a_workbook_that_declares_entities(part, declared):
    raw = book(["phone"], ["1"])
    if part == "xl/sharedStrings.xml":
        (raw,) = with_shared_texts("<si><t>phone</t></si>", 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    sentence = refusal(declaring(raw, part, declared), "a.xlsx")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert sentence == xlsx.ENTITIES
    assert after.ru_utime - before.ru_utime < 3


def test_no_variable_of_ours_makes_the_reader_take_entities(monkeypatch):
    """openpyxl can be told so by its own."""
    monkeypatch.setenv("OPENPYXL_DEFUSEDXML", "False")
    raw = declaring(book(["phone"], ["1"]), "xl/worksheets/sheet1.xml", "one small entity")
    assert refusal(raw, "a.xlsx") == xlsx.ENTITIES
