"""Foreign keys point down, as imports do: a string reference escapes the import linter.
And there is one door to the network."""

import ast
from pathlib import Path

from django.apps import apps

ROOMS = [
    "core",
    "crm",
    "transfer",
    "messaging",
    "sandbox",
    "datastore",
    "connectors",
    "engine",
    "actions",
    "builder",
]


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


# Modules that open connections to servers that somebody else names.
NETWORK = {"pycurl", "requests", "urllib3", "httpx", "aiohttp", "urllib.request", "http.client"}
NETWORK |= {"socket", "ssl", "ftplib", "telnetlib", "xmlrpc.client", "asyncio", "websockets"}
# They ask about this host, or serve, or call this installation itself.
AT_HOME = {
    "config/lane.py": {"socket"},  # looks at what those sent who call here
    "config/worker.py": {"socket"},  # closes those who call here
    "apps/actions/http/request.py": {"urllib3"},  # only spells multipart bodies
    "apps/core/due.py": {"socket"},
    "apps/core/management/commands/web.py": {"socket"},
    "apps/builder/management/commands/demo.py": {"http.client"},
}


def _parents(module):
    """a.b.c, a.b and a."""
    while module:
        yield module
        module = module.rpartition(".")[0]


def _imports(path):
    """The modules that a file imports, and those that they are in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in _parents(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from _parents(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_core_http_opens_outgoing_connections():
    root = Path(__file__).parent.parent
    for room in ("apps", "config"):
        for path in sorted((root / room).rglob("*.py")):
            name = str(path.relative_to(root))
            if name.startswith("apps/core/http/"):
                continue
            used = NETWORK & set(_imports(path))
            assert used <= AT_HOME.get(name, set()), f"{name} imports {used}"
