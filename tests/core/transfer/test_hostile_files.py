"""Files that are not what they seem are refused with a sentence, cheaply."""

import io
import json
import resource
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook

from apps.core.transfer import intake, sheet, workbook
from apps.core.transfer.text import Unreadable, records

pytestmark = pytest.mark.django_db

ROW = "+4915112345678,Jürgen €\n"


def receive(raw, name="people.csv", encoding=""):
    return intake.receive(SimpleUploadedFile(name, raw), encoding)


def kept(table):
    return b"".join(table.file.read()).decode()


def refusal(raw, name="people.csv"):
    with pytest.raises(Unreadable) as refused:
        receive(raw, name)
    assert not intake.StoredFile.objects.exists()
    return str(refused.value)


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(written, encoding, newline):
    text = "phone,name\n" + ROW * 10_000
    table = receive(text.replace("\n", newline).encode(written))
    assert table.encoding == encoding
    assert kept(table) == text
    assert table.sample[1] == ["+4915112345678", "Jürgen €"]


def test_an_encoding_can_be_given():
    table = receive("phone,name\n+4915112345678,Jürgen\n".encode("cp1252"), encoding="utf-8")
    assert "J\ufffdrgen" in kept(table)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter):
    lines = [["phone", "full, name; in | one", "tags"], ["1", "a", "x, y"], ["2", "b;c", ""]]
    text = "".join(delimiter.join(f'"{cell}"' for cell in line) + "\n" for line in lines)
    table = receive(text.encode())
    assert table.delimiter == delimiter
    assert table.sample == lines


def test_the_line_that_excel_writes_first():
    table = receive(b"sep=;\r\nphone;name\r\n1;a,b,c,d\r\n")
    assert (table.delimiter, table.sample) == (";", [["phone", "name"], ["1", "a,b,c,d"]])


def test_whether_the_first_row_names_the_columns():
    assert receive(b"phone,name\n+4915112345678,Anna\n").has_header
    assert not receive(b"+4915112345678,Anna\n").has_header
    assert not receive(b"Anna,anna@example.org\nBen,ben@example.org\n").has_header


def test_nul_bytes_are_left_out():
    assert kept(receive(b"phone,name\n" + b"+4915112345678,An\0na\n" * 100)).count("Anna") == 100


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "The file is empty."),
        (b" \n\n ", "The file is empty."),
        (b"\n\nphone\n", "The first row of the file is empty: it should name the columns."),
        (b"phone,name\n", "The file has no rows under its first one."),
        (b"phone,name\n,\n\n", "The file has no rows under its first one."),
        (bytes(range(256)) * 8, "The file is neither CSV nor an Excel workbook (.xlsx)."),
        (b"PK\x03\x04 and so on", "The file is no workbook: save it as .xlsx or CSV."),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
            "The file is an Excel workbook of the old kind (.xls), or one with a password: save it "
            "as .xlsx or CSV, without a password.",
        ),
        (
            ",".join(f"c{n}" for n in range(10_000)).encode() + b"\n1\n",
            "The file has more than 300 columns: take out what isn't used.",
        ),
        (
            b'phone,name\n1,"' + b"x" * 200_000,
            "Row 2 can't be read: a quote is opened and never closed, or a cell is longer than "
            "131,072 characters.",
        ),
        (
            b"phone,name\n1," + b"x" * 3_000_000,
            "Row 2 is longer than 1,048,576 characters: this is no table of rows.",
        ),
    ],
)
def test_what_is_no_table(raw, sentence):
    assert refusal(raw) == sentence


def test_a_file_that_is_too_large(settings):
    settings.MAX_UPLOAD_BYTES = 1024**2
    assert refusal(b"x" * (1024**2 + 1)) == "The file is larger than 1 MB: split it into several."


def zipped(**parts):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_x", ".x"), content)
    return written.getvalue()


def book(*rows):
    made = Workbook()
    for row in rows:
        made.active.append(row)
    written = io.BytesIO()
    made.save(written)
    return written.getvalue()


def rewritten(raw, part, change):
    """The workbook with one part of it changed."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(raw)) as source,
        zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name == part else content)
    return written.getvalue()


def test_a_workbook_that_unpacks_to_far_more_than_it_is(settings):
    settings.MAX_UPLOAD_BYTES = 1024**2
    bomb = zipped(xl__workbook_xml=b" " * 5 * 1024**2)
    assert len(bomb) < 10_000
    assert refusal(bomb, "a.xlsx") == (
        "The workbook is larger than 4 MB when unpacked: save it as CSV, or split it."
    )


def test_a_workbook_that_lies_about_its_size(settings):
    """The directory says a few bytes: no more than that are unpacked."""
    settings.MAX_UPLOAD_BYTES = 1024**2
    bomb = bytearray(zipped(xl__workbook_xml=b" " * 5 * 1024**2))
    size = (5 * 1024**2).to_bytes(4, "little")
    assert bomb.count(size) == 2
    assert refusal(bytes(bomb.replace(size, (99).to_bytes(4, "little"))), "a.xlsx")


def test_other_zip_files_and_damaged_workbooks():
    assert refusal(zipped(some_xml="x"), "a.zip") == (
        "The file is no Excel workbook: save it as .xlsx or CSV."
    )
    damaged = rewritten(book(["phone"], ["1"]), "xl/worksheets/sheet1.xml", lambda xml: xml[:-30])
    table_or_not = pytest.raises(Unreadable, match="damaged")
    with table_or_not:
        receive(damaged, "a.xlsx")


def test_cells_of_a_workbook_as_somebody_would_type_them():
    from datetime import date, datetime, time

    rows = [
        ["a", "b", "c", "d", "e", "f"],
        [4915112345678, 4915112345678.0, 1.5, True, None, "=1+1"],
        [
            date(2024, 2, 29),
            datetime(2024, 2, 29, 13, 5),  # noqa: DTZ001
            time(7, 30),
            "x",
            "",
            "",
        ],
    ]
    assert list(workbook.rows([book(*rows)])) == [
        ["a", "b", "c", "d", "e", "f"],
        ["4915112345678", "4915112345678", "1.5", "TRUE"],  # a formula that was never computed
        ["2024-02-29", "2024-02-29 13:05:00", "07:30:00", "x"],
    ]


def test_columns_far_to_the_right():
    made = Workbook()
    made.active["A1"], made.active["XFD1"] = "phone", "x"
    written = io.BytesIO()
    made.save(written)
    assert "more than 300 columns" in refusal(written.getvalue(), "a.xlsx")


def test_any_row_can_be_begun_with():
    text = 'a,"x\ny"\n\nb,ü\n"c"",",d\n'.encode()
    whole = list(records([text], ","))
    assert [cells for cells, _ in whole] == [["a", "x\ny"], [], ["b", "ü"], ['c",', "d"]]
    for number, (_, at) in enumerate(whole, 1):
        rest = [cells for cells, _ in records([text[at:]], ",")]
        assert rest == [cells for cells, _ in whole[number:]]
    for cut in range(len(text)):
        assert list(records([text[:cut], text[cut:]], ",")) == whole


def with_shared_texts(texts, *numbers):
    """A workbook with these texts in a table of their own, as Excel saves it, and a row of cells
    that refer to them."""
    rels = sheet.PARTS["xl/_rels/workbook.xml.rels"].replace(
        "</Relationships>",
        f'<Relationship Id="rId2" Type="{sheet.OFFICE}/sharedStrings" '
        'Target="sharedStrings.xml"/></Relationships>',
    )
    types = sheet.PARTS["[Content_Types].xml"].replace(
        "</Types>",
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{sheet.TYPE}'
        '.sharedStrings+xml"/></Types>',
    )
    cells = "".join(f'<c t="s"><v>{number}</v></c>' for number in numbers)
    body = f'<worksheet xmlns="{sheet.MAIN}"><sheetData><row>{cells}</row></sheetData></worksheet>'
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in {
            **sheet.PARTS,
            "xl/_rels/workbook.xml.rels": rels,
            "[Content_Types].xml": types,
            "xl/sharedStrings.xml": f'<sst xmlns="{sheet.MAIN}">{texts}</sst>',
            "xl/worksheets/sheet1.xml": body,
        }.items():
            archive.writestr(name, content)
    return [written.getvalue()]


def bomb(name):
    """Small files that are more than a machine can take, each in another way."""
    sound = book(["phone", "name"], ["+4915112345678", "Ana"])
    styles, names, page = "xl/styles.xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"

    def more(part, before, what):
        return rewritten(sound, part, lambda xml: xml.replace(before, what + before, 1))

    match name:
        case "styles":
            return more(styles, b"</cellXfs>", b'<xf numFmtId="0" fontId="0"/>' * 500_000)
        case "fonts":
            return more(styles, b"</fonts>", b"<font><sz val='1'/><name val='x'/></font>" * 200_000)
        case "names":
            defined = b"".join(
                b'<definedName name="n%d">A1</definedName>' % n for n in range(200_000)
            )
            return more(names, b"</workbook>", b"<definedNames>" + defined + b"</definedNames>")
        case "nothing before the rows":
            return more(page, b"<sheetData>", b"<x/>" * 40_000_000)
        case "one deep tree":
            return more(page, b"<sheetData>", b"<x>" * 5_000_000)
        case "one long attribute":
            return more(page, b"<sheetData>", b"<x y='" + b"z" * 150_000_000 + b"'/>")
        case "one long cell":
            cell = b"<row><c t='inlineStr'><is><t>" + b"z" * 150_000_000 + b"</t></is></c></row>"
            return rewritten(
                sound, page, lambda xml: xml.replace(b"<sheetData>", b"<sheetData>" + cell)
            )
        case "many parts":
            return zipped(**{f"p{n}": "" for n in range(100_000)}, xl__workbook_xml="x")
        case "a ratio":
            return zipped(xl__workbook_xml="x", xl__media__a=b"\0" * 250_000_000)
        case "nested archives":
            inner = zipped(xl__workbook_xml=b" " * 100_000_000)
            return zipped(xl__workbook_xml=zipped(a=inner, b=inner))


@pytest.mark.once
@pytest.mark.parametrize(
    "name",
    [
        "styles",
        "fonts",
        "names",
        "nothing before the rows",
        "one deep tree",
        "one long attribute",
        "one long cell",
        "many parts",
        "a ratio",
        "nested archives",
    ],
)
def test_a_bomb_is_refused_in_words_and_takes_little(name):
    raw = bomb(name)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    sentence = refusal(raw, "a.xlsx")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "save it as CSV" in sentence or "save it as .xlsx or CSV" in sentence
    assert after.ru_utime - before.ru_utime < 3


def test_who_reads_a_workbook_has_limits_and_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("SWITCHBOARD_SECRET_KEY", "of the installation")
    path = tmp_path / "long.xlsx"
    path.write_bytes(book(*(["+4915112345678", "x" * 40] for _ in range(3_000))))
    with path.open("rb") as source:
        reader = workbook._reader(source)
    try:
        assert json.loads(reader.stdout.readline()) == ["+4915112345678", "x" * 40]
        limits = Path(f"/proc/{reader.pid}/limits").read_text()
        (memory,) = [line.split()[3] for line in limits.splitlines() if "address space" in line]
        assert int(memory) == 512 * 1024**2
        assert b"SWITCHBOARD" not in Path(f"/proc/{reader.pid}/environ").read_bytes()
    finally:
        reader.kill()
        reader.communicate()


@pytest.mark.once
def test_a_million_empty_rows_behind_the_last_one_are_none():
    rows = b"".join(b'<row r="%d"/>' % n for n in range(3, 1_000_000))
    raw = rewritten(
        book(["phone"], ["+4915112345678"]),
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(b"</sheetData>", rows + b"</sheetData>"),
    )
    assert list(workbook.rows([raw])) == [["phone"], ["+4915112345678"]]


def test_empty_rows_in_between_are_counted():
    raw = book(["phone"], [], [], ["+4915112345678"], [None])
    assert list(workbook.rows([raw])) == [["phone"], [], [], ["+4915112345678"]]


def test_texts_that_stand_in_a_table_of_their_own():
    texts = (
        "<si><t>Łódź 🎈</t></si><si><t/></si>"
        "<si><r><t>bo</t></r><r><t>ld</t></r><rPh sb='0' eb='1'><t>not said</t></rPh></si>"
    )
    assert list(workbook.rows(with_shared_texts(texts, 2, 0, 1, 0))) == [
        ["bold", "Łódź 🎈", "", "Łódź 🎈"]
    ]


def test_a_cell_that_refers_to_no_text():
    for number in (1, -1, 10**9):
        with pytest.raises(Unreadable, match="damaged"):
            list(workbook.rows(with_shared_texts("<si><t>a</t></si>", number)))
