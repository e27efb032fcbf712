"""Who may do what, from one rule, and the pages that have rules of their own.

The rule: a page belongs to a model. Its list, its form and its history are seen by who may view or
change the model; adding needs *add*, deleting *delete*, and whatever else there is *change*.
"""

from dataclasses import dataclass
from itertools import product

from django.contrib import admin
from django.db.models import Model

from tests.builder.rights.asking import Rights
from tests.builder.rights.walk import Page


@dataclass(frozen=True)
class Doors:
    """What opens a page: each of `ways` is a set of rights that is enough, and there is no other
    way; or anybody at all, or whoever is signed in as staff. Superusers have every right."""

    ways: tuple[Rights, ...] = ()
    anybody: bool = False
    staff: bool = False
    # Not even for superusers: nobody adds what only happens.
    nobody: bool = False

    def opens_for(self, held: Rights) -> bool:
        open_to_all = self.anybody or self.staff
        return open_to_all or (not self.nobody and any(way <= held for way in self.ways))

    def nearly(self, every: Rights) -> list[Rights]:
        """All rights but so many that each way lacks one: the most that somebody can hold who is
        kept out. With `ways` they say of every set of rights whether it opens the page, since
        holding one more never closes a page."""
        return sorted({every - set(lost) for lost in product(*self.ways)}, key=sorted)


@dataclass(frozen=True)
class Rule:
    """Who reads a page, and who posts to it."""

    get: Doors
    post: Doors
    why: str = ""
    # Posting writes, for those who may; else it never does, whoever posts.
    writes: bool = True

    def sorts(self, every: Rights) -> list[Rights]:
        """Sorts of accounts that ask for the page, by what they may."""
        views = frozenset(name for name in every if ".view_" in name)
        changes = frozenset(name for name in every if ".change_" in name)
        sorts = [frozenset(), views, views | changes]
        for doors in (self.get, self.post):
            sorts += [*doors.ways, *doors.nearly(every)]
        return list(dict.fromkeys(sorts))


def by(*ways: str) -> Doors:
    """Each way is a text of rights."""
    return Doors(tuple(frozenset(way.split()) for way in ways))


NOBODY, SUPERUSERS = Doors(nobody=True), Doors()
ANYBODY, STAFF = Doors(anybody=True), Doors(staff=True)


def viewers(label: str) -> Doors:
    app, model = label.split(".")
    return VIEWERS.get(label) or by(f"{app}.view_{model}", f"{app}.change_{model}")


def only(label: str, verb: str) -> Doors:
    app, model = label.split(".")
    return by(f"{app}.{verb}_{model}")


# --- what does not follow from the rule ----------------------------------------------------------

_CONNECTOR = "connectors.connector"
_FLOW_EDITORS = by("connectors.change_connector")
_FLOW_REMOVERS = by("connectors.change_connector", "connectors.delete_connector")
_IMPORTERS = "transfer.add_contactimport crm.add_contact crm.change_contact"
_EXPORTERS = "transfer.add_contactexport crm.view_contact"
_CALL_READERS = by("connectors.change_connector", "connectors.view_connector engine.view_call")
_OPTOUT_READERS = by(
    "messaging.view_optoutlist messaging.view_optout",
    "messaging.change_optoutlist messaging.view_optout",
)

# Models whose pages are opened by the rights to another one.
HOMES = {
    "actions": (_CONNECTOR, "An action is a part of its connector's flow."),
    "engine.schedule": (_CONNECTOR, "An event source is a part of its connector's flow."),
    "engine.crmtrigger": (_CONNECTOR, "An event source is a part of its connector's flow."),
    "engine.ending": ("engine.run", "Who sees runs sees what ends them."),
}

# Models that others than those who may view or change them see.
VIEWERS = {
    # Who may make a job sees how far it has come; nobody changes one.
    "transfer.contactimport": by("transfer.view_contactimport", _IMPORTERS),
    "transfer.contactexport": by("transfer.view_contactexport", _EXPORTERS),
    "datastore.row": by("datastore.view_row", "datastore.change_row"),
}


def reads(doors: Doors, why: str) -> Rule:
    return Rule(doors, doors, why, writes=False)


def does(doors: Doors, why: str) -> Rule:
    return Rule(doors, doors, why)


EXCEPTIONS = {
    # --- without signing in ---
    "": reads(ANYBODY, "Leads to the overview, which asks who it is."),
    "hook": does(ANYBODY, "Strangers post there: the address is the secret (docs/webhook.md)."),
    "^hooks/": reads(ANYBODY, "An address that is none, answered as an unknown one."),
    "admin:login": reads(ANYBODY, "Where one signs in."),
    "admin:logout": reads(ANYBODY, "Leads those who are signed out to the sign-in."),
    # --- for all staff: nothing of anybody else stands there ---
    "admin:index": reads(STAFF, "The menu, of what one may see."),
    "admin:search": reads(STAFF, "Finds what one may see (test_looking_up.py)."),
    "admin:password_change": does(STAFF, "One's own password."),
    "admin:password_change_done": reads(STAFF, "Says that one's password was changed."),
    "admin:autocomplete": reads(STAFF, "Asks for the searched model's (test_looking_up.py)."),
    "admin:jsi18n": reads(STAFF, "Words for scripts."),
    "admin:view_on_site": reads(STAFF, "No model has a page elsewhere: 404."),
    "admin:app_list": reads(STAFF, "The menu of one app, of what one may see."),
    "admin/(?P<url>.*)$": reads(STAFF, "No page: 404."),
    "admin:sandbox_phone": reads(by("sandbox.view_phonemessage"), "It shows messages alone."),
    # --- pages that only show, of models: who may view them opens these ---
    **{
        f"admin:{name}": reads(viewers(label), "It only shows.")
        for name, label in {
            "connectors_connector_flow": _CONNECTOR,
            "connectors_connector_export": _CONNECTOR,
            "connectors_connector_export/number": _CONNECTOR,
            "engine_schedule_preview": _CONNECTOR,
            "messaging_blacklistentry_download": "messaging.blacklistentry",
            "transfer_contactimport_progress": "transfer.contactimport",
            "transfer_contactimport_errors": "transfer.contactimport",
            "transfer_contactexport_progress": "transfer.contactexport",
            "datastore_table_rows": "datastore.row",
            "datastore_table_csv": "datastore.row",
        }.items()
    },
    "admin:transfer_contactexport_download": reads(
        by("transfer.view_contactexport crm.view_contact", _EXPORTERS), "It holds contacts."
    ),
    "admin:messaging_optoutlist_show_entries": reads(_OPTOUT_READERS, "It leads to opt-outs."),
    "admin:messaging_optoutlist_download": reads(_OPTOUT_READERS, "It holds opt-outs."),
    "admin:actions_httpapi_logs": reads(_CALL_READERS, "Answers hold what customers wrote."),
    "admin:actions_httpapi_log": reads(_CALL_READERS, "Answers hold what customers wrote."),
    # --- pages that do something other than change their model ---
    **{
        f"admin:transfer_{name}": does(by(rights), "Who may make a job acts on it.")
        for name, rights in {
            "contactimport_add": _IMPORTERS,
            "contactimport_cancel": _IMPORTERS,
            "contactimport_resume": _IMPORTERS,
            "contactimport_columns": _IMPORTERS,
            "contactimport_start": _IMPORTERS,
            "contactexport_add": _EXPORTERS,
            "contactexport_cancel": _EXPORTERS,
            "contactexport_resume": _EXPORTERS,
        }.items()
    },
    "admin:messaging_blacklistentry_remove": does(
        by("messaging.delete_blacklistentry"), "It deletes."
    ),
    "admin:messaging_optout_remove": does(by("messaging.delete_optout"), "It deletes."),
    "admin:connectors_connector_import": does(
        by("connectors.add_connector"),
        "Replacing a draft needs *change* too.",
    ),
    "admin:datastore_row_add": does(by("datastore.add_row"), "It adds."),
    "admin:datastore_row_change": Rule(
        viewers("datastore.row"), by("datastore.change_row"), "The form of a row, not of a table."
    ),
    "admin:datastore_row_delete": does(by("datastore.delete_row"), "It deletes."),
    "admin:datastore_table_upload": does(
        by("datastore.add_row datastore.change_row"), "Rows with a known key are changed."
    ),
    # --- accounts ---
    "admin:auth_user_add": does(
        by("auth.add_user auth.change_user"), "Django's own: who adds one could change them all."
    ),
    "admin:auth_group_add": does(SUPERUSERS, "Only superusers give rights."),
    "admin:auth_group_delete": does(SUPERUSERS, "Only superusers give rights."),
    "admin:auth_group_change": Rule(
        viewers("auth.group"), SUPERUSERS, "Only superusers give rights."
    ),
}


def rule_of(page: Page, used: set[str] | None = None) -> Rule:
    """`used` gets what was looked up in the tables."""
    used = set() if used is None else used
    if page.id in EXCEPTIONS:
        used.add(page.id)
        return EXCEPTIONS[page.id]
    if page.model is None:
        raise AssertionError(
            f"The page {page.id} is of no model: say in EXCEPTIONS of {__name__} who may see it, "
            "and why."
        )
    return _by_the_rule(page, used)


def home_of(model: type[Model], used: set[str] | None = None) -> str:
    """The model whose rights open the pages of `model`."""
    label = model._meta.label_lower
    for name in (label, label.partition(".")[0]):
        if name in HOMES:
            if used is not None:
                used.add(name)
            return HOMES[name][0]
    return label


def removers(model: type[Model]) -> Doors:
    return _FLOW_REMOVERS if _is_part_of_flow(model) else only(home_of(model), "delete")


def _is_part_of_flow(model: type[Model]) -> bool:
    return home_of(model) == _CONNECTOR != model._meta.label_lower


def _by_the_rule(page: Page, used: set[str]) -> Rule:
    assert page.model is not None
    home, part = home_of(page.model, used), page.part
    site_page = admin.site.get_model_admin(page.model)
    if not page.name:
        return reads(STAFF, "An old address of the form: leads to it, and tells nothing.")
    if part in ("changelist", "history"):
        return reads(viewers(home), "")
    if part == "change":
        never = not site_page.has_change_permission(_OWNER)
        changers = NOBODY if never else only(home, "change")
        return Rule(viewers(home), changers, writes=not never)
    if part == "add":
        adders = _FLOW_EDITORS if _is_part_of_flow(page.model) else only(home, "add")
        return does(adders if site_page.has_add_permission(_OWNER) else NOBODY, "")
    if part == "delete":
        may = site_page.has_delete_permission(_OWNER)
        return does(removers(page.model) if may else NOBODY, "")
    return does(only(home, "change"), "")


class _Owner:
    """A request of somebody who has every right."""

    class user:
        is_superuser = True
        has_perm = staticmethod(lambda *_: True)
        has_perms = staticmethod(lambda *_: True)
        has_module_perms = staticmethod(lambda *_: True)


_OWNER: "HttpRequest" = _Owner()  # type: ignore[assignment,name-defined]  # noqa: F821
