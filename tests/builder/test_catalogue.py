"""manage.py kinds: the registry as JSON, as the docs' table, and as a table for people."""

import json

import pytest
from django.core.management import CommandError, call_command

from apps.builder import catalogue
from apps.builder.catalogue import PAGES, as_markdown, errors
from apps.connectors import registry

KINDS = list(registry.kinds().values())
TYPES = {
    *("text", "choice", "boolean", "integer", "number", "date", "datetime", "uuid"),
    *("reference", "rows", "json"),
}


@pytest.fixture
def told(capsys):
    def command(*arguments):
        call_command("kinds", *arguments)
        return capsys.readouterr().out

    return command


def kind_of(told, slug):
    (found,) = (kind for kind in json.loads(told("--format=json"))["kinds"] if kind["slug"] == slug)
    return found


def test_the_docs_have_the_table_that_the_registry_makes():
    """python manage.py kinds --into docs/actions/README.md"""
    assert as_markdown() in (PAGES / "README.md").read_text()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_each_kind_says_what_it_can_fail_with(kind):
    _, heading, below = (PAGES / f"{kind.slug}.md").read_text().partition("\n## Errors\n")
    assert heading, "add a section Errors to its page"
    found = errors(kind.slug)
    assert found or below.lstrip().startswith("None"), "add a table, or the word None"
    for error in found:
        assert set(error) == {"timeline", "meaning"} and all(error.values()), error
        assert error["timeline"] not in ("Timeline", "---")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_each_field_has_a_type_that_readers_know(kind):
    described = catalogue.described(kind)
    rows = [field for row_set in described["row_sets"] for field in row_set["fields"]]
    for field in [*described["fields"], *rows]:
        assert field["type"] in TYPES and field["label"], field
        assert bool(field["choices"]) is (field["type"] == "choice"), field
        assert ("to" in field) is (field["type"] == "reference")
        assert ("columns" in field) is (field["type"] == "rows")
    named = {field["name"] for field in described["fields"]}
    conditions = [field["shows_when"] for field in described["fields"] if field["shows_when"]]
    assert {condition["field"] for condition in conditions} <= named


def test_the_json_has_every_kind_in_the_palettes_order(told):
    listed = json.loads(told("--format=json"))
    assert listed["format"] == 1
    assert [kind["slug"] for kind in listed["kinds"]] == list(registry.kinds())
    assert {"timeline", "meaning"} == set(listed["errors"][0])
    assert listed["errors"][0]["timeline"] == "No contact mapped"


def test_a_kind_is_described_as_its_form_has_it(told):
    tag = kind_of(told, "add_tag")
    assert (tag["label"], tag["category"], tag["needs_contact"]) == ("Add Tag", "CRM", True)
    (typed,) = tag["fields"]
    assert (typed["name"], typed["label"]) == ("new_tags", "Tags by name")
    assert (typed["type"], typed["templated"], typed["required"]) == ("text", True, False)
    (picked,) = tag["row_sets"]
    assert [(f["name"], f["type"], f["to"]) for f in picked["fields"]] == [
        ("tag", "reference", "crm.tag")
    ]
    assert 'Tag "vip" was deleted' in [error["timeline"] for error in tag["errors"]]


def test_choices_conditions_and_columns_are_told(told):
    http = kind_of(told, "http_api")
    assert http["gives"] == {"family": "http", "values": ["status"]}
    fields = {field["name"]: field for field in http["fields"]}
    assert {"value": "GET", "label": "GET"} in fields["method"]["choices"]
    assert fields["safe_to_repeat"]["shows_when"] == {
        "field": "method",
        "values": ["POST", "PATCH"],
    }
    assert [c["name"] for c in fields["headers"]["columns"]] == ["name", "value"]
    operators = kind_of(told, "filter")["fields"][1]["columns"][1]
    assert {"value": "text:is", "label": "is"} in operators["choices"]


def test_a_table_for_people(told):
    lines = told().splitlines()
    assert lines[0].split() == ["SLUG", "LABEL", "CATEGORY", "CONTACT", "GIVES"]
    assert len(lines) == len(KINDS) + 1
    (line,) = (line for line in lines if line.startswith("map_contact "))
    assert line.split() == ["map_contact", "Map", "Contact", "CRM", "mapped"]


def test_the_table_is_put_between_its_marks_and_nowhere_else(told, tmp_path):
    begin, end = catalogue.MARKS
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{begin}\nold\n{end}\nafter\n")
    told("--into", str(page))
    assert page.read_text() == f"Before\n{as_markdown()}\nafter\n"
    assert told("--format=markdown").strip() == as_markdown()
    page.write_text("No place")
    with pytest.raises(CommandError, match="no place for the table"):
        told("--into", str(page))
    assert page.read_text() == "No place"
    with pytest.raises(CommandError, match="can't be written: No such file"):
        told("--into", str(tmp_path / "none" / "page.md"))


def test_a_missing_page_is_named(told, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "PAGES", tmp_path)
    with pytest.raises(CommandError, match=r"README\.md is missing"):
        told("--format=json")


def test_a_cell_may_hold_a_bar(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "PAGES", tmp_path)
    table = "| Timeline | Meaning |\n|---|---|\n| a \\| b | c |\n"
    (tmp_path / "x.md").write_text(
        f"# X\n\n## Errors\n\nIn short.\n\n{table}\n## Next\n\n| d | e |\n"
    )
    assert errors("x") == [{"timeline": "a | b", "meaning": "c"}]
