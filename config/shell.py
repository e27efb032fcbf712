"""The back office's shell: unfold's settings (menu, name, colours, scripts)."""

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _csp_shim(request: HttpRequest) -> str:
    return static("switchboard/unfold-csp-shim.js")


def _styles(request: HttpRequest) -> str:
    return static("switchboard/backoffice.css")


def _icon(request: HttpRequest) -> str:
    return static("switchboard/icon.svg")


def _page(title: str, icon: str, view: str, see: str, about: str) -> dict[str, object]:
    """An item of the menu, for those who hold one of the permissions `see`."""
    return {
        "title": title,
        "icon": icon,
        "about": about,
        "link": reverse_lazy(f"admin:{view}"),
        "permission": lambda request: any(map(request.user.has_perm, see.split())),
    }


def _list(title: str, icon: str, app: str, model: str, about: str) -> dict[str, object]:
    """The list of a model, for those who may view or change it."""
    see = f"{app}.view_{model} {app}.change_{model}"
    return _page(title, icon, f"{app}_{model}_changelist", see, about)


def _in_flows(request: HttpRequest) -> bool:
    """The forms of actions belong to their connector's flow."""
    return request.path.startswith(("/admin/connectors/", "/admin/actions/"))


def _searched(request: HttpRequest) -> list[str]:
    """The models whose rows the search finds: unfold asks for any right to them, and it is seeing
    that counts."""
    from django.contrib import admin  # the pages are there only now

    pages = admin.site._registry.items()
    return [model._meta.label for model, page in pages if page.has_view_permission(request)]


def _trouble(request: HttpRequest) -> dict[str, str] | None:
    """What is wrong with the installation now, under the head of each page (header.html); those
    who may see the notices are led there."""
    from apps.core.notices import current  # models are there only now

    if not request.user.is_authenticated:
        return None
    notice = current()
    if notice is None:
        return None
    may_see = request.user.has_perm("core.view_notice")
    notices = str(reverse_lazy("admin:core_notice_changelist"))
    return {"text": notice.text, "notices": notices if may_see else ""}


# Tailwind's blue: its shades keep their contrast on both themes.
_BLUE = {
    "50": "oklch(97% .014 254.604)",
    "100": "oklch(93.2% .032 255.585)",
    "200": "oklch(88.2% .059 254.128)",
    "300": "oklch(80.9% .105 251.813)",
    "400": "oklch(70.7% .165 254.624)",
    "500": "oklch(62.3% .214 259.815)",
    "600": "oklch(54.6% .245 262.881)",
    "700": "oklch(48.8% .243 264.376)",
    "800": "oklch(42.4% .199 265.638)",
    "900": "oklch(37.9% .146 265.522)",
    "950": "oklch(28.2% .091 267.935)",
}


MENU = [
    {
        "title": "Automation",
        "items": [
            {
                **_list(
                    "Connectors", "hub", "connectors", "connector", "What happens on an event."
                ),
                "active": _in_flows,
            },
            _page(
                "Schedules",
                "schedule",
                "engine_schedule_changelist",
                "connectors.view_connector connectors.change_connector",
                "Events that come by the clock.",
            ),
            _page(
                "CRM changes",
                "person_edit",
                "engine_crmtrigger_changelist",
                "connectors.view_connector connectors.change_connector",
                "Events that come of changes of contacts.",
            ),
            _list("Events", "bolt", "engine", "event", "What was posted, kept as it came."),
            _list("Runs", "play_circle", "engine", "run", "What was done for each event, and why."),
            _list("Delays", "hourglass_top", "engine", "delay", "Runs that wait for their time."),
            _page(
                "Cancellations",
                "playlist_remove",
                "engine_ending_changelist",
                "engine.view_run engine.change_run",
                "Very many runs that are being ended, and how far that has come.",
            ),
        ],
    },
    {
        "title": "Messaging",
        "items": [
            _list("Messages", "chat", "messaging", "message", "Sent, waiting, refused, received."),
            _list("Channels", "cell_tower", "messaging", "channel", "The numbers to send from."),
            {
                **_list(
                    "Opt-out lists",
                    "notifications_off",
                    "messaging",
                    "optoutlist",
                    "Who wants no automated messages.",
                ),
                "active": lambda request: request.path.startswith("/admin/messaging/optout"),
            },
            _list("Blacklist", "block", "messaging", "blacklistentry", "Who is blocked both ways."),
            _page(
                "Sandbox phone",
                "smartphone",
                "sandbox_phone",
                "sandbox.view_phonemessage",
                "A phone for trying things out.",
            ),
        ],
    },
    {
        "title": "People",
        "items": [
            _list("Contacts", "contacts", "crm", "contact", "Who the events are about."),
            _list("Tags", "sell", "crm", "tag", "Words that mark contacts."),
            _list("Categories", "category", "crm", "category", "Groups that contacts are in."),
            _list("Attributes", "list_alt", "crm", "attribute", "Fields of contacts of your own."),
            _page(
                "Imports",
                "upload",
                "transfer_contactimport_changelist",
                "transfer.view_contactimport transfer.add_contactimport",
                "Contacts from CSV and Excel files.",
            ),
            _page(
                "Exports",
                "download",
                "transfer_contactexport_changelist",
                "transfer.view_contactexport transfer.add_contactexport",
                "Contacts as CSV and Excel files.",
            ),
        ],
    },
    {
        "title": "Data",
        "items": [
            {
                **_list("Counters", "tag", "datastore", "counter", "Numbers that actions count."),
                "active": lambda request: request.path.startswith("/admin/datastore/counter"),
            },
            _list("Tables", "table", "datastore", "table", "Rows that connectors keep and read."),
        ],
    },
    {
        "title": "System",
        "items": [
            _list("Credentials", "key", "core", "credential", "Secrets, kept encrypted."),
            _list("Users", "person", "auth", "user", "Who may come in here."),
            _list("Groups", "group", "auth", "group", "What they may do."),
            _list("Notices", "warning", "core", "notice", "Trouble of the installation itself."),
            _list("Failed tasks", "error", "django_q", "failure", "Background work that broke."),
        ],
    },
]

UNFOLD = {
    "SITE_TITLE": "Switchboard",
    "SITE_HEADER": "Switchboard",
    "SITE_SUBHEADER": "Automation back office",
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "ENVIRONMENT": _trouble,
    "COLORS": {"primary": _BLUE},
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SCRIPTS": [_csp_shim],
    "STYLES": [_styles],
    "COMMAND": {"search_models": _searched, "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": MENU,
    },
}
