"""Settings, read top to bottom. Each outside value comes through `env`; README lists them all."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from couponadmin.version import VERSION

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))

# --- Where things lie -----------------------------------------------------------
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)

# --- Secrets: none has a default --------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# Fernet keys, newest first: they encrypt what connections keep (tokens, secrets).
FIELD_KEYS = env.list("FIELD_KEYS")
if not SECRET_KEY or not FIELD_KEYS:
    raise ImproperlyConfigured("SECRET_KEY and FIELD_KEYS must not be empty.")

# --- Addresses --------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
# What customers' links begin with; workers have no request to learn it from.
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
IS_HTTPS = SITE_URL.startswith("https://")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[urlsplit(SITE_URL).hostname or "127.0.0.1"]
)
CSRF_TRUSTED_ORIGINS = [SITE_URL]
# How many proxies stand before us and write X-Forwarded-For; 0 trusts none.
PROXY_COUNT = env.int("PROXY_COUNT", default=0)
if PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Apps, in the order in which they may import each other -------------------------
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "couponadmin.site.HouseAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "connections",
    "stores",
    "contacts",
    "campaigns",
    "serials",
    "coupons",
    "deliveries",
    "sync",
    "reports",
    "couponadmin",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "couponadmin.middleware.admin_policy",
    "couponadmin.middleware.request_id",
    "couponadmin.middleware.not_too_large",
    "couponadmin.middleware.no_nul",
    "couponadmin.middleware.BadAddress",
    "couponadmin.middleware.DatabaseAway",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "couponadmin.middleware.staff_language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "couponadmin.urls"
WSGI_APPLICATION = "couponadmin.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "couponadmin.context.version",
            ],
        },
    },
]

# --- Database -----------------------------------------------------------------------
# Milliseconds that a process of each role waits: for a lock, for a statement (0: as
# long as it takes), and idle inside a transaction.
PROCESS_ROLES = {
    "web": (3_000, 10_000, 15_000),  # somebody stands before the page
    "worker": (5_000, 55_000, 60_000),  # a statement ends before its task's time is up
    "command": (10_000, 0, 600_000),  # manage.py: a migration may build a large index
}
PROCESS_ROLE = env.str("PROCESS_ROLE", default="web")
if PROCESS_ROLE not in PROCESS_ROLES:
    raise ImproperlyConfigured(
        f"PROCESS_ROLE={PROCESS_ROLE}: it is one of {', '.join(PROCESS_ROLES)}."
    )
DB_TIMEOUTS = PROCESS_ROLES[PROCESS_ROLE]
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url(
        "DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'couponadmin.sqlite3'}"
    )
}
DATABASES["default"]["CONN_MAX_AGE"] = 600  # seconds
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a read-then-write transaction queues instead of failing as "locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
else:
    DATABASES["default"].setdefault("OPTIONS", {})
    # For those few cursors that can prepare statements: after so many times.
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 5
    DATABASES["default"]["OPTIONS"]["options"] = (
        f"-c lock_timeout={env.int('DB_LOCK_TIMEOUT', default=DB_TIMEOUTS[0])}"
        f" -c statement_timeout={env.int('DB_STATEMENT_TIMEOUT', default=DB_TIMEOUTS[1])}"
        f" -c idle_in_transaction_session_timeout={DB_TIMEOUTS[2]}"
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People -------------------------------------------------------------------------
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = reverse_lazy("store:sign_in")
LOGIN_REDIRECT_URL = reverse_lazy("store:home")
SESSION_COOKIE_AGE = int(timedelta(hours=8).total_seconds())
# A till keeps its sign-in for a shift.
STORE_SESSION_AGE = int(timedelta(hours=12).total_seconds())
SESSION_COOKIE_NAME = "__Host-session" if IS_HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if IS_HTTPS else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_HTTPONLY = True

# --- Headers ------------------------------------------------------------------------
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Strict for customers and stores; ADMIN_POLICY relaxes it under the admin's path alone.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "img-src": [SELF, "data:"],
        "style-src": [SELF, NONCE],
        "script-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
# unfold's menus are Alpine's, which evaluates its attributes, and it styles inline.
ADMIN_POLICY = {
    "default-src": [SELF],
    "img-src": [SELF, "data:"],
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
}

# --- Languages and time -----------------------------------------------------------------
USE_I18N = USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", _("English")),
    ("ja", _("Japanese")),
    ("zh-hant", _("Traditional Chinese")),
    ("th", _("Thai")),
    ("ko", _("Korean")),
]
# Whose words are whole in the staff's catalogue too: docs/translating.md. The others'
# staff read English, not a mix of it and of Django's own words.
STAFF_LANGUAGES = ["en", "ja", "zh-hant"]
LOCALE_PATHS = [BASE_DIR / "locale" / "customers", BASE_DIR / "locale" / "staff"]
FORMAT_MODULE_PATH = ["couponadmin.formats"]

# --- Files ----------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(VAR_DIR / "media")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
REQUEST_MAX_SIZE = 11 * 1024 * 1024  # bytes: a file of 10 MB, and the form around it
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440  # bytes, without files
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

# --- Mail -----------------------------------------------------------------------------------
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="coupons@localhost")
# Who is told when the ledger does not add up; by default all active superusers.
ALERT_EMAILS = env.list("ALERT_EMAILS", default=[])

# --- Queue ----------------------------------------------------------------------------------
# The database is the queue of truth; a message only says "look for due rows". So a
# lost or doubled message changes nothing, and no result is kept.
REDIS_URL = env.str("REDIS_URL", default="")
# Without Redis: files, see couponadmin/broker.py.
CELERY_BROKER_URL = REDIS_URL or "files://localhost//"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any]
if REDIS_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 300,  # seconds
        # What a dead worker had in hand is lost, and the sweep says it again. Kombu's
        # own way to give it back kills a worker that loses Redis in a task (5.7).
        "ack_emulation": False,
        # A request that nudges the queue must not wait for a Redis that is away, or
        # that is there and says nothing.
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
    }
else:
    BROKER_DIR = VAR_DIR / "broker"
    for folder in ("messages", "control"):
        (BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "messages"),
        "data_folder_out": str(BROKER_DIR / "messages"),
        "control_folder": str(BROKER_DIR / "control"),
        "polling_interval": 0.1,  # seconds
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT, CELERY_TASK_TIME_LIMIT = 60, 90  # seconds
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30  # seconds
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat")
CELERY_TIMEZONE = "UTC"
SWEEP_EVERY = env.float("SWEEP_EVERY", default=30.0)  # seconds

# --- Sending --------------------------------------------------------------------------------
SEND_LEASE = timedelta(seconds=env.float("SEND_LEASE", default=30.0))
SEND_DEADLINE = env.float("SEND_DEADLINE", default=15.0)  # seconds, one call to LINE
if SEND_LEASE <= timedelta(seconds=SEND_DEADLINE):
    raise ImproperlyConfigured("SEND_LEASE has to be longer than SEND_DEADLINE.")
SEND_THREADS = env.int("SEND_THREADS", default=16)  # per worker process
SEND_RATE = env.int("SEND_RATE", default=1_000)  # pushes a second and connection

# --- Serials ---------------------------------------------------------------------------------
IMPORTS_A_DAY = 20  # files or generations one person may start within 24 hours
IMPORT_MOST_ROWS = 1_000_000  # of a file that is uploaded
IMPORT_BLOCK = 50_000  # rows of a file, imported and committed together

# --- Providers ------------------------------------------------------------------------------
LINE_API_URL = env.str("LINE_API_URL", default="https://api.line.me").rstrip("/")
PADDLE_API_URL = env.str("PADDLE_API_URL", default="https://vendors.paddle.com").rstrip(
    "/"
)
VIVOLDI_API_URL = env.str("VIVOLDI_API_URL", default="https://vivoldi.com").rstrip("/")
# Calls a second, of one account, for each of LINE's coupon calls; and calls a minute of
# one account at the others, where its connection says nothing else.
LINE_COUPON_RATE = env.int("LINE_COUPON_RATE", default=200)
PADDLE_RATE = env.int("PADDLE_RATE", default=240)
VIVOLDI_RATE = env.int("VIVOLDI_RATE", default=120)
SYNC_EVERY = timedelta(seconds=env.float("SYNC_EVERY", default=900.0))
SYNC_LEASE = timedelta(seconds=env.float("SYNC_LEASE", default=45.0))
SYNC_DEADLINE = env.float("SYNC_DEADLINE", default=15.0)  # seconds, one call
SYNC_THREADS = env.int("SYNC_THREADS", default=16)  # calls at once, per task
# How long after an unclear answer a provider is asked what became of it: what it was
# still busy with is done by then.
SYNC_SETTLE = timedelta(seconds=env.float("SYNC_SETTLE", default=20.0))
if SYNC_LEASE <= timedelta(seconds=SYNC_DEADLINE * 2):
    raise ImproperlyConfigured("SYNC_LEASE has to be longer than two SYNC_DEADLINEs.")
# Plain http and loopback, for the sandbox only.
ALLOW_LOCAL_PROVIDERS = env.bool("ALLOW_LOCAL_PROVIDERS", default=False)

# --- The shop, as customers see it ------------------------------------------------------------
SHOP_NAME = env.str("SHOP_NAME", default="")
# A PNG or JPG file. Checked when the house starts, served at an address of our own.
SHOP_LOGO = env.str("SHOP_LOGO", default="")
SHOP_CONTACT_URL = env.str("SHOP_CONTACT_URL", default="")
SHOP_PRIVACY_URL = env.str("SHOP_PRIVACY_URL", default="")

# --- Logs: one JSON object a line, ids only ------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "couponadmin.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": [], "propagate": True, "level": "INFO"},
        "django.server": {"handlers": [], "propagate": True, "level": "WARNING"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        # Its lines hold request paths, and a profile's path holds a LINE user id.
        "urllib3": {"level": "ERROR"},
    },
}

# --- Staff pages ------------------------------------------------------------------------------
HOUSE = _("Coupon back office")
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": HOUSE,
    "SITE_HEADER": SHOP_NAME or HOUSE,
    "SITE_SUBHEADER": format_lazy("{name} {version}", name=HOUSE, version=VERSION)
    if SHOP_NAME
    else VERSION,
    "SITE_URL": "/store/",
    "SITE_SYMBOL": "confirmation_number",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("couponadmin/icon.svg"),
        }
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("couponadmin/admin.css")],
    "SCRIPTS": [lambda request: static("couponadmin/admin.js")],
    "DASHBOARD_CALLBACK": "reports.dashboard.dashboard",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "couponadmin.navigation.sidebar",
    },
}
