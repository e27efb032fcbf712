"""Credentials that are in use go on going where they went: each gets the hosts of the URLs that it
was chosen for, in drafts and in revisions. Hosts that attributes decide can't be known; those have
to be added by hand."""

from collections import defaultdict

from django.db import migrations

from apps.actions.http.checks import host_of


def fill_in(apps, schema_editor):
    wanted = defaultdict(dict)
    for pk, url in _chosen(apps):
        place = host_of(url)
        if place is not None:
            wanted[pk][str(place)] = True
    credentials = apps.get_model("core", "Credential").objects
    for credential in credentials.filter(pk__in=wanted, hosts=""):
        credential.hosts = "\n".join(wanted[credential.pk])
        credential.save(update_fields=["hosts"])


def _chosen(apps):
    """(credential, URL) of every action that has both."""
    drafts = apps.get_model("actions", "HttpApi").objects.exclude(credential=None)
    yield from drafts.values_list("credential_id", "url").iterator()
    revisions = apps.get_model("connectors", "Revision").objects
    for document in revisions.values_list("document", flat=True).iterator(chunk_size=50):
        for step in document.get("steps", []):
            for action in step["actions"]:
                ref = action.get("refs", {}).get("credential")
                if action["kind"] == "http_api" and ref:
                    yield ref["id"], action["config"].get("url", "")


class Migration(migrations.Migration):
    dependencies = [
        ("actions", "0012_no_secrets"),
        ("connectors", "0009_response_type"),
        ("core", "0007_credential_hosts"),
    ]

    operations = [migrations.RunPython(fill_in, migrations.RunPython.noop)]
