"""Settings of the tests: the product's own, with keys made up and static files unhashed."""

import os
import tempfile

os.environ.setdefault("SWITCHBOARD_SECRET_KEY", "not-secret-only-for-tests-" + "x" * 40)
os.environ["SWITCHBOARD_VAULT_KEYS"] = "1:" + "dGVz" * 10 + "dHM="
os.environ.setdefault("SWITCHBOARD_DATA_DIR", tempfile.gettempdir() + "/switchboard-tests")
os.environ["SWITCHBOARD_URL"] = "http://testserver"
os.environ["SWITCHBOARD_COUNTRY"] = ""
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")

from config.settings import *  # noqa: F403
from config.settings import DATABASES, INSTALLED_APPS

# A job to test the lane of long jobs with; its tables are made without migrations.
INSTALLED_APPS = [*INSTALLED_APPS, "tests.long_jobs"]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
if not os.environ["DATABASE_URL"]:
    DATABASES["default"]["NAME"] = ":memory:"
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
