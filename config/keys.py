"""The installation's secret keys: one JSON file beside the embedded database, mode 0600.

    {"secret_key": …, "vault": [{"version": 1, "key": …}, …]}

Sessions and every stored secret depend on this file: a backup of the database without it is
not a backup. SWITCHBOARD_SECRET_KEY and SWITCHBOARD_VAULT_KEYS in the environment take its place.
"""

import base64
import fcntl
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    """Where the embedded database, the keys and collected static files live."""
    return Path(os.environ.get("SWITCHBOARD_DATA_DIR") or ROOT / "data").resolve()


def keys_file() -> Path:
    return data_dir() / "keys.json"


def keep_private() -> None:
    """Nobody but the owner reads what is in the data directory, whatever the umask was when it was
    made."""
    private = ["switchboard.sqlite3", "switchboard.sqlite3-wal", "switchboard.sqlite3-shm"]
    for path in [data_dir(), *(data_dir() / name for name in [*private, keys_file().name])]:
        with suppress(FileNotFoundError, PermissionError):
            path.chmod(0o700 if path.is_dir() else 0o600)


def secret_key() -> str:
    """Django's SECRET_KEY; raises ImproperlyConfigured with what to do when there is none."""
    from_env = os.environ.get("SWITCHBOARD_SECRET_KEY", "")
    if from_env:
        return from_env
    try:
        return str(_read()["secret_key"])
    except FileNotFoundError:
        raise ImproperlyConfigured(
            f"there are no keys at {keys_file()}. Run 'manage.py setup' for a new installation, "
            "or restore keys.json from your backup."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise _unreadable() from None


class KeyRing:
    """The versioned keys of the vault. Read anew each time, so that a running process learns of
    a key that was added meanwhile."""

    def from_environment(self) -> str:
        """What the environment says; empty where the keys are in the file."""
        return os.environ.get("SWITCHBOARD_VAULT_KEYS", "").strip()

    def keys(self) -> dict[int, str]:
        """Key by version; the newest one encrypts. Empty: there are none yet."""
        from_env = self.from_environment()
        try:
            keys = _from_words(from_env) if from_env else _listed(_read())
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError):
            if from_env:
                raise ImproperlyConfigured(
                    "SWITCHBOARD_VAULT_KEYS must look like 1:key or 1:key,2:key, where each key is "
                    "32 bytes in URL-safe base64."
                ) from None
            raise _unreadable() from None
        return keys

    def add(self) -> int:
        """Add a key to the file and return its version."""
        with _changing() as content:
            version = max(_listed(content), default=0) + 1
            content.setdefault("vault", []).append({"version": version, "key": _new_key()})
        return version


def ensure_keys() -> None:
    """Make the keys of a new installation, and the vault's first one where it is missing; refuse
    where a database has lost its own."""
    # The embedded database goes there as well, wherever the keys are.
    data_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
    if keys_file().exists():
        ring = KeyRing()
        if not ring.keys():
            ring.add()
        return
    if os.environ.get("SWITCHBOARD_SECRET_KEY"):
        return
    database = data_dir() / "switchboard.sqlite3"
    if not os.environ.get("DATABASE_URL") and database.exists():
        sys.exit(
            f"The database {database} is there, but its keys are not: restore {keys_file()} from "
            "your backup, or move the database away to begin anew."
        )
    descriptor = os.open(keys_file(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        vault = [{"version": 1, "key": _new_key()}]
        json.dump({"secret_key": secrets.token_urlsafe(50), "vault": vault}, file)
        file.write("\n")


def _read() -> dict[str, Any]:
    return dict(json.loads(keys_file().read_text()))


def _unreadable() -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{keys_file()} can't be read: restore it from your backup.")


def _new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _listed(content: dict[str, Any]) -> dict[int, str]:
    return {int(entry["version"]): _checked(entry["key"]) for entry in content.get("vault", [])}


def _from_words(text: str) -> dict[int, str]:
    pairs = [word.strip().partition(":") for word in text.split(",") if word.strip()]
    keys = {int(version): _checked(key) for version, _, key in pairs}
    if len(keys) != len(pairs):
        raise ValueError("a version occurs twice")
    return keys


def _checked(key: str) -> str:
    if len(base64.urlsafe_b64decode(key)) != 32:
        raise ValueError("not 32 bytes")
    return key


@contextmanager
def _changing() -> Iterator[dict[str, Any]]:
    """Change the keys file: one at a time, and whole or not at all, whenever the power goes."""
    path = keys_file()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        content = _read()
        yield content
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix="keys-")  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        os.fsync(directory)
    finally:
        os.close(directory)
