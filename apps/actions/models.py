"""The catalogue: importing this module imports every file under kinds/, which registers them."""

import importlib
import pkgutil

from apps.actions import kinds

for _module in pkgutil.iter_modules(kinds.__path__):
    importlib.import_module(f"{kinds.__name__}.{_module.name}")
