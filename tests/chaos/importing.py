"""An import that is disturbed: seeding it, and telling what became of it.

python -m tests.chaos.importing seed ROWS IMPORTS | report
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


def seed(rows: int, imports: int) -> None:
    """The same file so many times. Every tenth row of it is wrong, every tenth says something of
    the person above it again."""
    from apps.core.transfer import intake
    from apps.crm.transfer.columns import ContactColumns
    from apps.crm.transfer.models import ContactImport

    lines = ["phone,name,tags"]
    for n in range(rows):
        phone = "12" if n % 10 == 0 else f"+49151{12_000_000 + n - (n % 10 == 5):08}"
        lines.append(f"{phone},Person {n},imported")
    for _ in range(imports):
        job = ContactImport.drafted(intake.receive(Upload("\n".join(lines).encode())))
        job.mapping = ContactColumns().guess(job.headers)
        job.begin_import()


def report() -> dict[str, object]:
    from django.db.models import Count, Sum

    from apps.core.transfer.files import RefusedRow
    from apps.crm.models import Contact, ContactTag
    from apps.crm.transfer.models import ContactImport

    counts = ContactImport.objects.aggregate(
        created=Sum("created"), updated=Sum("updated"), refused=Sum("refused")
    )
    imported = Contact.objects.filter(name__startswith="Person ")
    refused = RefusedRow.objects.values_list("file", "number")
    return {
        "states": list(ContactImport.objects.values_list("state", flat=True)),
        **counts,
        "contacts": imported.count(),
        "phones": imported.aggregate(n=Count("phone", distinct=True))["n"],
        "tags": ContactTag.objects.filter(tag__name="imported").count(),
        "refused_rows": len(set(refused)) if len(set(refused)) == len(refused) else "twice",
    }


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "seed":
        seed(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print(json.dumps(report()))
