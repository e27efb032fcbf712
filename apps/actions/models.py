"""The catalogue: importing this module imports every file under kinds/, which registers them."""

import importlib
import pkgutil

from apps.actions import kinds
from apps.actions.http.alerts import HttpAlert
from apps.actions.http.mapping import HttpMapping

__all__ = ["HttpAlert", "HttpMapping"]

for _module in pkgutil.iter_modules(kinds.__path__):
    importlib.import_module(f"{kinds.__name__}.{_module.name}")
