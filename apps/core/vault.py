"""Encryption of stored secrets with the installation's ring of versioned keys (Fernet).

The newest key encrypts; older ones stay, so that what they encrypted can still be read.
"""

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class VaultError(RuntimeError):
    """A secret can't be encrypted or read; the message says what the operator can do."""


def seal(text: str) -> tuple[str, int]:
    """`text` encrypted, and the version of the key that did it."""
    keys = _keys()
    if not keys:
        raise VaultError(
            "This installation has no keys for secrets yet. Run 'manage.py setup', or set "
            "SWITCHBOARD_VAULT_KEYS."
        )
    version = max(keys)
    return Fernet(keys[version]).encrypt(text.encode()).decode(), version


def unseal(sealed: str, version: int) -> str:
    """The text that `seal` encrypted."""
    key = _keys().get(version)
    if key is None:
        raise VaultError(f"The key of version {version} is missing: restore it from your backup.")
    try:
        return Fernet(key).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise VaultError(
            f"The key of version {version} is not the one that encrypted this secret: restore "
            "the keys that belong to this database."
        ) from None


def _keys() -> dict[int, str]:
    try:
        return dict(settings.KEY_RING.keys())
    except ImproperlyConfigured as error:
        raise VaultError(str(error)) from None
