"""An import that is disturbed: seeding it, and telling what became of it.

python -m tests.chaos.importing seed ROWS | report
"""

import io
import json
import sys

import django


class Upload(io.BytesIO):
    name = "people.csv"

    @property
    def size(self) -> int:
        return len(self.getvalue())


def seed(rows: int) -> None:
    """Every tenth row is wrong, every tenth says something of the person above it again."""
    from apps.core.transfer import intake
    from apps.crm.transfer.columns import ContactColumns
    from apps.crm.transfer.models import ContactImport

    lines = ["phone,name,tags"]
    for n in range(rows):
        phone = "12" if n % 10 == 0 else f"+49151{12_000_000 + n - (n % 10 == 5):08}"
        lines.append(f"{phone},Person {n},imported")
    table = intake.receive(Upload("\n".join(lines).encode()))
    job = ContactImport.drafted(table)
    job.mapping = ContactColumns().guess(job.headers)
    job.begin_import()


def report() -> dict[str, object]:
    from django.db.models import Count

    from apps.core.transfer.files import RefusedRow
    from apps.crm.models import Contact, ContactTag
    from apps.crm.transfer.models import ContactImport

    job = ContactImport.objects.get()
    imported = Contact.objects.filter(name__startswith="Person ")
    numbers = list(RefusedRow.objects.order_by("number").values_list("number", flat=True))
    return {
        "state": job.state,
        "counts": [job.created, job.updated, job.skipped, job.refused],
        "contacts": imported.count(),
        "phones": imported.aggregate(n=Count("phone", distinct=True))["n"],
        "tags": ContactTag.objects.filter(tag__name="imported").count(),
        "refused": numbers == list(range(2, 2 + 10 * len(numbers), 10)) and len(numbers),
    }


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "seed":
        seed(int(sys.argv[2]))
    else:
        print(json.dumps(report()))
