"""What makes an installation unsafe or unable to work, told before it serves anybody.

The keys are looked at whenever a command starts, the rest by `check --deploy`.
"""

from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from coupons.logo import LogoError, read_logo

# Keys that stand in this project for tests, lint and building: everybody knows them.
KNOWN_KEYS = frozenset(
    {
        "for tests only, not a secret at all, but long enough for all",
        "for-checks-only",
        "build-only",
        "for this benchmark alone",
        "YmVuY2htYXJrcy1vbmx5LTMyLWJ5dGVzLWxvbmctMDA=",
        "dGVzdHMtb25seS1rZXktMzItYnl0ZXMtbG9uZy0wMDA=",
        "Zm9yLWNoZWNrcy1vbmx5LTMyLWJ5dGVzLWxvbmctMDA=",
        "YnVpbGQtb25seS1rZXktMzItYnl0ZXMtbG9uZy0wMDA=",
    }
)


def field_keys(**kwargs: Any) -> list[CheckMessage]:
    """Whether credentials can be encrypted at all; no key is ever shown."""
    return [
        Error(
            f"Key {number} of FIELD_KEYS is no Fernet key: 32 bytes in URL-safe base64, "
            "44 characters.",
            hint="Make a key: openssl rand -base64 32 | tr '+/' '-_'",
            id="couponadmin.E001",
        )
        for number, key in enumerate(settings.FIELD_KEYS, start=1)
        if not is_field_key(key)
    ]


def is_field_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


def known_keys(**kwargs: Any) -> list[CheckMessage]:
    """Keys that can be read in this project's files protect nothing."""
    names = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "FIELD_KEYS")
    return [
        Error(
            f"{name} holds a key that stands in this project's own files.",
            hint="Make one of your own: .env.example says how.",
            id="couponadmin.E002",
        )
        for name in names
        if KNOWN_KEYS & set(keys_in(name))
    ]


def keys_in(name: str) -> list[str]:
    value = getattr(settings, name)
    return [value] if isinstance(value, str) else list(value)


def addresses(**kwargs: Any) -> list[CheckMessage]:
    """Nothing goes over the network in clear."""
    found: list[CheckMessage] = []
    if not settings.IS_HTTPS:
        found.append(
            Error(
                "SITE_URL is not https: links, passwords and sessions travel in clear.",
                hint="SITE_URL=https://coupons.example.com, say.",
                id="couponadmin.E003",
            )
        )
    if not settings.LINE_API_URL.startswith("https://"):
        found.append(
            Error(
                "LINE_API_URL is not https: access tokens travel in clear.",
                hint="Leave LINE_API_URL out: LINE's own address is the default.",
                id="couponadmin.E004",
            )
        )
    if settings.ALLOW_LOCAL_PROVIDERS:
        found.append(
            Error(
                "ALLOW_LOCAL_PROVIDERS is on: requests may go to this machine and its "
                "network, without TLS.",
                hint="Leave ALLOW_LOCAL_PROVIDERS out: it is for the sandbox.",
                id="couponadmin.E005",
            )
        )
    return found


def servers(**kwargs: Any) -> list[CheckMessage]:
    """What keeps the promises under a rush: PostgreSQL, and a broker for many."""
    found: list[CheckMessage] = []
    if not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        found.append(
            Error(
                "The database is not PostgreSQL: SQLite is for a trial by one person.",
                hint="DATABASE_URL=postgres://user:password@host:5432/name",
                id="couponadmin.E006",
            )
        )
    if not settings.REDIS_URL:
        found.append(
            Error(
                "REDIS_URL is empty: messages pass through files on this machine alone.",
                hint="REDIS_URL=redis://host:6379/0",
                id="couponadmin.E007",
            )
        )
    return found


def proxies(**kwargs: Any) -> list[CheckMessage]:
    """The web process speaks plain http: with https somebody stands before it."""
    if not settings.IS_HTTPS or settings.PROXY_COUNT:
        return []
    return [
        Warning(
            "SITE_URL is https but PROXY_COUNT is 0: a request that came by https looks "
            "as if it had not, and is sent to the same address for ever.",
            hint="PROXY_COUNT is the number of proxies that write X-Forwarded-For and "
            "X-Forwarded-Proto.",
            id="couponadmin.W001",
        )
    ]


def logo(**kwargs: Any) -> list[CheckMessage]:
    """Whether SHOP_LOGO names a picture that customers can be shown."""
    if not settings.SHOP_LOGO:
        return []
    try:
        read_logo(settings.SHOP_LOGO)
    except LogoError as error:
        return [
            Error(
                f"SHOP_LOGO: {error}",
                hint="It is the path of a PNG or JPG file of at most 100 KB.",
                id="couponadmin.E008",
            )
        ]
    return []


ALWAYS = (field_keys, logo)
DEPLOY = (known_keys, addresses, servers, proxies)
