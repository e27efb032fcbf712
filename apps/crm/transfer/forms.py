"""What operators say of an import: what the columns mean, what becomes of those who are there."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict

from apps.crm.transfer.columns import ATTRIBUTE, ContactColumns
from apps.crm.transfer.models import ContactExport, ContactImport

SAMPLES = 3


@dataclass(frozen=True)
class FileColumn:
    """A column of the file as its form shows it."""

    header: str
    samples: list[str]
    target: str


class ColumnsError(ValueError):
    """The columns can't be imported so; the message is a sentence that says why."""


def file_columns(job: ContactImport) -> list[FileColumn]:
    below = job.sample[1:] if job.has_header else job.sample
    mapping = job.mapping or [""] * len(job.headers)
    return [
        FileColumn(
            header,
            [row[place][:200] for row in below if len(row) > place and row[place].strip()][
                :SAMPLES
            ],
            mapping[place],
        )
        for place, header in enumerate(job.headers)
    ]


def targets() -> list[tuple[str, list[tuple[str, str]]]]:
    """What a column may go into, in groups."""
    choices = ContactColumns().choices()
    own = [(name, label) for name, label in choices if not name.startswith(ATTRIBUTE)]
    attributes = [(name, label) for name, label in choices if name.startswith(ATTRIBUTE)]
    return [("Contact", own), ("Attributes", attributes)]


def read_columns(job: ContactImport, sent: QueryDict) -> None:
    """Set on the job what was sent. Raises ColumnsError when it can't be imported so; it is set all
    the same, so that the form shows it again."""
    columns = ContactColumns()
    names = dict(columns.choices())
    chosen = [name if name in names else "" for name in sent.getlist("column")]
    width = len(job.sample[0])
    job.mapping = (chosen + [""] * width)[:width]
    job.has_header = "has_header" in sent
    policy = sent.get("policy", "")
    job.policy = policy if policy in job.Policy.values else job.Policy.UPDATE
    job.clear_blanks = sent.get("blanks") == "clear"
    job.tells = "tells" in sent
    used = [name for name in job.mapping if name]
    if not {"phone", "email"} & set(used):
        raise ColumnsError(
            "Choose the column of the mobile number or of the email address: without one nobody "
            "can be recognised."
        )
    twice = next((name for name in used if used.count(name) > 1), None)
    if twice:
        raise ColumnsError(f'Several columns go into "{names[twice]}": leave out all but one.')


class ExportForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ContactExport
        fields = ["form", "search", "tag", "category"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, label_suffix="", **kwargs)
        for name in ("tag", "category"):
            field: Any = self.fields[name]
            field.empty_label = "Any"
        self.fields["form"].widget.choices = ContactExport.Form.choices
