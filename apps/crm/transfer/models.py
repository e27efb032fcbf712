"""Imports and exports of contacts, as jobs."""

from typing import Any

from django.conf import settings
from django.db import models

from apps.core.jobs import JobFailed, long_job
from apps.core.transfer.exporting import ExportJob
from apps.core.transfer.importing import ImportJob, Refused, Row, Tally
from apps.crm.models import Contact
from apps.crm.searching import search
from apps.crm.services import Identity
from apps.crm.transfer import people
from apps.crm.transfer.columns import ATTRIBUTE, ContactColumns
from apps.crm.transfer.people import Line, People, Person

UNREADABLE = "\ufffd"


@long_job
class ContactExport(ExportJob):
    """People on their way into a file: all of them, or those that meet what is filled in."""

    search = models.CharField(
        max_length=200, blank=True, help_text="Mobile number, email address or part of the name."
    )
    tag = models.ForeignKey(
        "crm.Tag", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    category = models.ForeignKey(
        "crm.Category", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # What was asked for, in words that stay when a tag is deleted.
    described = models.CharField("contacts", max_length=500, editable=False)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta(ExportJob.Meta):
        verbose_name = "export"

    def __str__(self) -> str:
        return f"Export of {self.created_at:%Y-%m-%d %H:%M}"

    def describe(self) -> str:
        """Which contacts these are."""
        said = [
            f'tag "{self.tag}"' if self.tag else "",
            f'category "{self.category}"' if self.category else "",
            f'found by "{self.search}"' if self.search else "",
        ]
        return ", ".join(filter(None, said)) or "All contacts"

    def file_name(self) -> str:
        return f"contacts-{self.created_at:%Y-%m-%d}.{self.form}"

    def headers(self) -> list[str]:
        return [header for _, header in ContactColumns().choices()]

    def lines(self, after: int, limit: int) -> list[tuple[int, list[str]]]:
        self._check_filters()
        chosen = search(Contact.objects.all(), self.search).filter(pk__gt=after).order_by("pk")
        if self.tag_id:
            chosen = chosen.filter(tag_links__tag=self.tag_id)
        if self.category_id:
            chosen = chosen.filter(category_links__category=self.category_id)
        return ContactColumns().lines(chosen[:limit])

    def _check_filters(self) -> None:
        """A tag that was deleted meanwhile must not turn into everybody."""
        if self.described != self.describe():
            raise JobFailed(
                "The tag or category was changed or deleted meanwhile: begin a new export."
            )


@long_job
class ContactImport(ImportJob):
    """An uploaded table whose rows are people."""

    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Whether CRM changes are told, which start connectors.
    tells = models.BooleanField(default=False)

    class Meta(ImportJob.Meta):
        verbose_name = "import"

    def __str__(self) -> str:
        return f"Import of {self.file_name}"

    def take(self, batch: list[Row]) -> Tally:
        tally = Tally()
        lines = self._read(batch, tally)
        found = People([line.identity for line in lines], lock=not self.dry)
        if self.dry and self.file:
            people.remember(self.file, found.known, [line.identity for line in lines])
        for line in lines:
            self._place(line, found, tally)
        if not self.dry:
            found.write(self.pk, self.tells)
        elif self.file:
            people.keep(self.file, found.added)
        return tally

    def _place(self, line: Line, found: People, tally: Tally) -> None:
        updates = self.policy != self.Policy.SKIP
        person: Person | None = found.find(line.identity, claim=updates)
        if person is None and self.policy == self.Policy.ONLY_UPDATE:
            tally.skipped += 1
        elif person is None:
            found.apply(found.add(line.identity), line)
            tally.created += 1
        elif updates:
            found.apply(person, line)
            tally.updated += 1
        else:
            tally.skipped += 1

    def _read(self, batch: list[Row], tally: Tally) -> list[Line]:
        """The rows that can be read; the others go into the tally."""
        columns = ContactColumns()
        used = [(place, name) for place, name in enumerate(self.mapping) if name]
        for _, name in used:
            if name not in columns.fields:
                raise JobFailed(
                    f'The attribute "{name.removeprefix(ATTRIBUTE)}" was deleted: choose the '
                    "columns anew."
                )
        headers, lines = self.headers, []
        for row in batch:
            try:
                lines.append(self._line(row, columns, used, headers))
            except Refused as refused:
                tally.refused.append((row, str(refused)))
        return lines

    def _line(
        self, row: Row, columns: ContactColumns, used: list[tuple[int, str]], headers: list[str]
    ) -> Line:
        values: dict[str, Any] = {}
        for place, name in used:
            cell = row.cells[place].strip()
            try:
                values[name] = _cell(cell, columns.fields[name].widget) if cell else None
            except ValueError as wrong:
                raise Refused(f'Column "{headers[place]}": {wrong}') from None
        identity = Identity(values.get("phone"), values.get("email") or "")
        if not identity.phone and not identity.email:
            raise Refused("The row has neither a mobile number nor an email address.")
        return self._said(identity, values, columns)

    def _said(self, identity: Identity, values: dict[str, Any], columns: ContactColumns) -> Line:
        line = Line(identity)
        for name, value in values.items():
            if name == "phone" or (value is None and not self._clears(name, identity)):
                continue
            if name == "tags":
                line.tags = value
            elif name == "categories":
                line.categories = value
            elif name.startswith(ATTRIBUTE):
                line.values[columns.fields[name].widget.attribute.pk] = value
            else:
                line.fields["owner_id" if name == "owner" else name] = value
        return line

    def _clears(self, name: str, identity: Identity) -> bool:
        """Whether a blank cell empties the field. Tags and categories are only ever added, and an
        email address stays when nothing else says who it is."""
        if name in ("tags", "categories") or (name == "email" and not identity.phone):
            return False
        return self.clear_blanks


def _cell(cell: str, widget: Any) -> Any:
    if UNREADABLE in cell:
        raise ValueError(
            "the cell has characters that can't be read. Save the file as UTF-8, or choose how it "
            "is written when you upload it."
        )
    return widget.clean(cell)
