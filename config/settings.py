"""One file, driven by the environment; docs/settings.md lists every variable."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from apps.core.http.guard import AllowList
from config import env, keys, logs, mail, shell

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = keys.data_dir()

# --- Where it is reached -----------------------------------------------------------------------
# Everything that depends on TLS follows from the scheme of the public address.
PUBLIC_URL = env.text("SWITCHBOARD_URL", "http://127.0.0.1:8000").rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in ("http", "https") or not _public.hostname:
    raise ImproperlyConfigured(
        f"SWITCHBOARD_URL must look like https://name.example, not {PUBLIC_URL!r}."
    )
HTTPS = _public.scheme == "https"
DEBUG = env.flag("SWITCHBOARD_DEBUG")
SECRET_KEY = keys.secret_key()
KEY_RING = keys.KeyRing()
ALLOWED_HOSTS = [_public.hostname, *env.words("SWITCHBOARD_ALLOWED_HOSTS")]
# A host name at which there are webhooks and no pages; empty: they share the public address.
HOOKS_HOST = env.text("SWITCHBOARD_HOOKS_HOST").lower()
if _public.hostname == HOOKS_HOST or not set(HOOKS_HOST).isdisjoint(":/@ "):
    raise ImproperlyConfigured(
        "SWITCHBOARD_HOOKS_HOST must be a host name of its own, like hooks.name.example, not "
        f"{HOOKS_HOST!r}."
    )
if HOOKS_HOST:
    ALLOWED_HOSTS.append(HOOKS_HOST)
HOOKS_URL = f"{_public.scheme}://{HOOKS_HOST}" if HOOKS_HOST else PUBLIC_URL
if not HTTPS:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
BEHIND_PROXY = env.flag("SWITCHBOARD_BEHIND_PROXY")
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
# Over plain http from another machine browsers ignore this header and complain about it.
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin" if HTTPS else None

# --- The house ---------------------------------------------------------------------------------
INSTALLED_APPS = [
    "apps.core",
    "apps.crm",
    "apps.crm.transfer",
    "apps.messaging",
    "apps.messaging.sandbox",
    "apps.datastore",
    "apps.connectors",
    "apps.engine",
    "apps.actions",
    "apps.builder",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_q",
    "csp",
    "axes",
]
MIDDLEWARE = [
    "apps.core.outside.Outside",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.core.database_time.DatabaseTime",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "apps.core.first_password.ChangesFirstPassword",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "apps.core.patience.SaysItIsBusy",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Guessing passwords (apps/core/signing_in.py).
AXES_HANDLER = "apps.core.signing_in.Handler"
AXES_FAILURE_LIMIT = 3
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "apps.core.signing_in.address"
AXES_LOCKOUT_CALLABLE = "apps.core.signing_in.refused"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# The log says which account and from where.
AXES_SENSITIVE_PARAMETERS: list[str] = []
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# --- Database ----------------------------------------------------------------------------------
_database = env.text("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'switchboard.sqlite3'}"
DATABASES = {"default": dj_database_url.parse(_database, conn_max_age=None)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A commit survives a power cut (FULL); writers queue instead of failing (IMMEDIATE, timeout).
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Statements that come again and again are planned once.
    planned_once = {"server_side_binding": True, "prepare_threshold": 5}
    # A network that is gone says nothing: who waits notices within half a minute (libpq's names;
    # seconds, but milliseconds for the last).
    noticed = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    # What the address itself asks for (sslmode, or no prepared statements) goes first.
    asked = DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["OPTIONS"] = planned_once | noticed | asked
else:
    raise ImproperlyConfigured("DATABASE_URL must be a postgresql:// or a sqlite:/// address.")

# --- Time and language -------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"
# The account's timezone: a date without a time means midnight here.
TIME_ZONE = env.text("SWITCHBOARD_TIMEZONE", "UTC")

# --- Limits (product.md, section 18) -----------------------------------------------------------
MAX_ROTATIONS = env.number("SWITCHBOARD_MAX_ROTATIONS", 10)
MAX_HOPS = env.number("SWITCHBOARD_MAX_HOPS", 50)
MAX_STEPS = env.number("SWITCHBOARD_MAX_STEPS", 50)
MAX_PAYLOAD_BYTES = env.number("SWITCHBOARD_MAX_PAYLOAD_BYTES", 1024 * 1024)
# The file of a connector's export.
MAX_IMPORT_BYTES = env.number("SWITCHBOARD_MAX_IMPORT_BYTES", 2 * 1024 * 1024)
# Tables (docs/data.md): columns of one, bytes of a cell, rows and bytes of a CSV file.
MAX_COLUMNS = env.number("SWITCHBOARD_MAX_COLUMNS", 50)
MAX_CELL_BYTES = env.number("SWITCHBOARD_MAX_CELL_BYTES", 10 * 1024)
MAX_SHEET_ROWS = env.number("SWITCHBOARD_MAX_SHEET_ROWS", 10_000)
MAX_SHEET_BYTES = env.number("SWITCHBOARD_MAX_SHEET_BYTES", 20 * 1024 * 1024)
# Tables that are imported, and how long they and exports are kept (docs/import.md).
MAX_UPLOAD_BYTES = env.number("SWITCHBOARD_MAX_UPLOAD_BYTES", 50 * 1024 * 1024)
TRANSFER_DAYS = env.number("SWITCHBOARD_TRANSFER_DAYS", 7)
# The file of an import travels through its review in a field of the form, four letters for each
# three bytes, beside a few short fields.
_REVIEWED_BYTES = MAX_IMPORT_BYTES * 4 // 3 + 64 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = max(MAX_PAYLOAD_BYTES, 2_621_440, _REVIEWED_BYTES)
# A connector page may carry 200 actions' worth of fields; webhooks are capped by size instead.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000
# Events that one connector takes in a minute, counted by each web process for itself.
INBOUND_PER_MINUTE = env.number("SWITCHBOARD_INBOUND_PER_MINUTE", 6_000)
DEDUPE_DAYS = env.number("SWITCHBOARD_DEDUPE_DAYS", 7)
# CPU time, in milliseconds, that filling in the attributes of one action may take.
RENDER_MS = env.number("SWITCHBOARD_RENDER_MS", 100)
# Bytes that one text may have with its attributes filled in.
RENDER_BYTES = env.number("SWITCHBOARD_RENDER_BYTES", 1024 * 1024)
# Country assumed for a phone number without a country code; empty: such a number is invalid.
DEFAULT_COUNTRY = env.text("SWITCHBOARD_COUNTRY").upper()

# --- Outgoing calls (docs/outgoing-calls.md) ---------------------------------------------------
try:
    HTTP_ALLOW = AllowList.read(env.words("SWITCHBOARD_HTTP_ALLOW"))
except ValueError as error:
    raise ImproperlyConfigured(
        "SWITCHBOARD_HTTP_ALLOW must list hosts, addresses or networks like printer.lan, "
        f"127.0.0.1:9000, 10.0.0.0/8: {error}"
    ) from None
# Calls that the account may make in any 60 seconds; 0: as many as it likes.
HTTP_PER_MINUTE = env.number("SWITCHBOARD_HTTP_PER_MINUTE", 10)
HTTP_PROXY = env.text("SWITCHBOARD_HTTP_PROXY")
if HTTP_PROXY and not (
    urlsplit(HTTP_PROXY).scheme in ("http", "https") and urlsplit(HTTP_PROXY).hostname
):
    # The value isn't shown: there may be a password in it.
    raise ImproperlyConfigured("SWITCHBOARD_HTTP_PROXY must look like http://proxy.example:3128.")
HTTP_CA_FILE = env.text("SWITCHBOARD_HTTP_CA_FILE")
if HTTP_CA_FILE and not Path(HTTP_CA_FILE).is_file():
    raise ImproperlyConfigured(f"SWITCHBOARD_HTTP_CA_FILE: there is no file {HTTP_CA_FILE}.")

# --- Mail from the system itself (alerts) -------------------------------------------------------
_mail = mail.read(env.text("SWITCHBOARD_EMAIL_URL"))
EMAIL_HOST, EMAIL_PORT = _mail.host, _mail.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_SSL, EMAIL_USE_TLS = _mail.tls_from_the_start, _mail.starttls
EMAIL_TIMEOUT = 30
DEFAULT_FROM_EMAIL = env.text("SWITCHBOARD_EMAIL_FROM") or f"switchboard@{_public.hostname}"

# --- Background work ---------------------------------------------------------------------------
DRAINS = env.number("SWITCHBOARD_DRAINS", 1 if "sqlite" in _database else 2)
Q_CLUSTER = {
    "name": "switchboard",
    "broker_class": "apps.engine.broker.PatientBroker",
    "orm": "default",
    # For ordinary tasks only (drains are processes of their own): one that takes long, such as
    # dropping old calls, holds up no sweep.
    "workers": 2,
    "queue_limit": 2,
    "bulk": 1,
    "timeout": 120,
    "retry": 180,
    "max_attempts": 3,
    "ack_failures": True,
    # Success rows are not kept: pruning them caps the monitor at 61 tasks a second.
    "save_limit": -1,
    "catch_up": False,
    "guard_cycle": 0.5,
    "recycle": 2000,
    "label": "Background tasks",
    "log_level": env.text("SWITCHBOARD_LOG_LEVEL", "WARNING"),
}
SILENCED_SYSTEM_CHECKS: list[str] = []

# --- Pages -------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
# static/ first: it replaces unfold's Alpine by the build that needs no eval (docs/adr/0005).
STATICFILES_DIRS = [ROOT / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        # unfold writes its theme colours into an inline <style> without a nonce.
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
LOGIN_URL = "admin:login"
# unfold's login page names no page to go on to.
LOGIN_REDIRECT_URL = "admin:index"
UNFOLD = shell.UNFOLD
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

# --- Logs --------------------------------------------------------------------------------------
LOGGING = logs.configuration(env.text("SWITCHBOARD_LOG_LEVEL", "WARNING"))
