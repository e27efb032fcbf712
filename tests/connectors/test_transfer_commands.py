"""manage.py export_connector and import_connector."""

import io
import json
import sys

import pytest
from django.core.management import CommandError, call_command

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.stop import StopRun
from apps.connectors.exporting import export
from apps.connectors.models import Connector
from tests.factories import TagFactory, published

pytestmark = pytest.mark.django_db


def run(command, *args):
    out = io.StringIO()
    call_command(command, *args, stdout=out)
    return out.getvalue()


def refusal(command, *args):
    with pytest.raises(CommandError) as caught:
        run(command, *args)
    return str(caught.value)


@pytest.fixture
def shop():
    return published([(StopRun, {"label": "Größe"})], name="Shop")


@pytest.fixture
def stdin(monkeypatch):
    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def test_by_name_or_id_to_stdout_or_a_file(shop, tmp_path):
    file = tmp_path / "shop.json"
    assert run("export_connector", "Shop") == export(shop)
    assert run("export_connector", str(shop.pk), "--output", str(file)) == ""
    assert file.read_text(encoding="utf-8") == export(shop)


def test_a_name_of_digits_wins_over_an_id(shop):
    digits = published([(StopRun, {})], name=str(shop.pk))
    assert run("export_connector", str(shop.pk)) == export(digits)


def test_a_revision(shop):
    before = export(shop)
    StopRun.objects.update(label="edited")
    assert run("export_connector", "Shop", "--revision", "1") == before
    assert refusal("export_connector", "Shop", "--revision", "7") == (
        'The connector "Shop" has no revision 7.'
    )


def test_a_file_makes_a_connector(shop, tmp_path):
    file = tmp_path / "shop.json"
    file.write_text(export(shop), encoding="utf-8")
    said = run("import_connector", str(file), "--name", "Copy")
    copy = Connector.objects.get(name="Copy")
    assert said == f'Connector {copy.pk}, "Copy", was made. Look at it and publish it.\n'
    assert copy.steps.get().actions.get().label == "Größe"


def test_stdin_replaces_a_draft(shop, stdin):
    stdin(export(shop))
    target = published([(StopRun, {})], name="Target")
    said = run("import_connector", "-", "--replace", "Target")
    assert said == (
        f'The draft of connector {target.pk}, "Target", was replaced. Look at it and publish it.\n'
    )
    assert target.steps.get().actions.get().label == "Größe"


def test_what_is_not_here_is_told(stdin):
    tag = TagFactory(name="vip")
    origin = published([(AddTag, {"rows": {"tags": [{"tag": tag}]}})], name="Shop")
    stdin(export(origin))
    origin.delete()
    tag.delete()
    assert run("import_connector", "-").splitlines()[1:] == [
        f'  {step_name(Connector.objects.get())} › Add Tag: Tag "vip" does not exist here: create '
        "it or choose another one."
    ]


def step_name(connector):
    return connector.steps.get().name


def test_errors_are_one_sentence_and_an_exit_code(shop, stdin, tmp_path):
    assert refusal("export_connector", "Nobody") == 'There is no connector "Nobody".'
    missing = str(tmp_path / "no" / "file")
    assert refusal("import_connector", missing) == (
        "The file can't be read: No such file or directory."
    )
    assert refusal("export_connector", "Shop", "--output", missing) == (
        "The file can't be written: No such file or directory."
    )
    stdin("hello")
    assert refusal("import_connector", "-") == (
        "This is not the export of a connector: it is no JSON."
    )
    stdin(json.dumps({}))
    assert refusal("import_connector", "-", "--replace", "Nobody") == (
        'There is no connector "Nobody".'
    )
    assert "not allowed with" in refusal("import_connector", "-", "--name=a", "--replace=b")
