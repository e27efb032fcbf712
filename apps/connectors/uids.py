"""The uids of a document's parts where it is written: their own where nobody else has them."""

import uuid

from apps.connectors.frozen import Document
from apps.connectors.models import Action, Connector, Step


class Uids:
    """Asked before the rows of the old draft are deleted."""

    def __init__(self, document: Document, connector: Connector) -> None:
        """A document of another connector that is here makes a copy: none of its uids is kept,
        also those that only revisions of the original still name."""
        origin = Connector.objects.filter(uid=document["connector"]["uid"])
        self.is_copy = origin.exclude(pk=connector.pk).exists()
        steps = document["steps"]
        actions = [action["uid"] for step in steps for action in step["actions"]]
        taken = [
            *Step.objects.exclude(connector=connector)
            .filter(uid__in=[step["uid"] for step in steps])
            .values_list("uid", flat=True),
            *Action.objects.exclude(step__connector=connector)
            .filter(uid__in=actions)
            .values_list("uid", flat=True),
        ]
        self.taken = {str(uid) for uid in taken}

    def get(self, uid: str) -> str:
        fresh = self.is_copy or uid.lower() in self.taken
        return str(uuid.uuid4()) if fresh else uid
