"""Foreign keys point down, as imports do: a string reference escapes the import linter."""

from django.apps import apps

ROOMS = ["core", "crm", "messaging", "sandbox", "connectors", "engine", "actions", "builder"]


def test_every_foreign_key_points_down_or_stays():
    for model in apps.get_models():
        room = model._meta.app_label
        if room not in ROOMS:
            continue
        for field in model._meta.get_fields():
            if not field.concrete or not field.is_relation:
                continue
            target = field.related_model._meta.app_label
            if target in ROOMS:
                assert ROOMS.index(target) <= ROOMS.index(room), f"{field} points up to {target}"
