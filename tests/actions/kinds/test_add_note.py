import pytest

from apps.actions.kinds.add_note import AddNote
from apps.crm.models import Note
from tests.factories import ContactFactory

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


def test_the_note_says_what_and_who(happen, told):
    columns = {"text": " Paid {{ event.amount }}.\nThanks! "}
    event = {**ANA, "amount": 12}
    run = happen([(AddNote, columns)], event=event, mapping=BY_PHONE, name="Payments")
    note = Note.objects.get()
    assert (note.contact.phone, note.text) == (PHONE, "Paid 12.\nThanks!")
    assert (note.author, note.author_user) == ("Connector: Payments", None)
    assert (note.cause, note.cause_id) == ("run", run.pk)
    assert told(run, "add_note").note == "Note added"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{ event.none }} ", "The note is empty, so it was not added."),
        ("x" * 10_001, "The note is longer than 10,000 characters."),
    ],
)
@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_what_is_no_note_fails_with_a_sentence(happen, told, text, sentence, on_error, state):
    columns = {"text": text, "on_error": on_error}
    after = (AddNote, {"text": "after"})
    run = happen([(AddNote, columns), after], event=ANA, mapping=BY_PHONE)
    assert run.state == state
    assert list(Note.objects.values_list("text", flat=True)) == ["after"] * (on_error == "continue")
    if on_error == "stop":
        assert run.error == f"Add Notes: {sentence}"


def test_the_same_note_twice_is_two_notes(happen):
    ContactFactory(phone=PHONE)
    happen([(AddNote, {"text": "Hi"}), (AddNote, {"text": "Hi"})], event=ANA, mapping=BY_PHONE)
    assert Note.objects.count() == 2


def test_without_a_contact_it_is_skipped(happen, told):
    run = happen([(AddNote, {"text": "Hi"})])
    entry = told(run, "add_note")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")
    assert not Note.objects.exists()


def test_a_turn_done_again_writes_it_once(happen, lost_turn):
    run = happen([(AddNote, {"text": "Hi"})], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert Note.objects.get().text == "Hi"


def test_what_is_missing_is_a_problem():
    assert AddNote(text=" ").problems() == ["Write the note."]
    assert AddNote(text="Hi").problems() == []
    assert AddNote(text="Hi\nthere").summary() == "Hi there"
