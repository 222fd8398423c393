"""The sandbox's accounts at Paddle and Vivoldi: what .env leaves out is made once.

An .env of an earlier version names none of it, and the standard library cannot make
the key that Paddle signs with: so all that is missing is kept in a file of its own.
"""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HEAD = "# Accounts of the sandbox that .env does not name. Written by `make run`.\n"


def new_paddle_key() -> str:
    """An RSA private key on one line: DER, in base64."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return base64.b64encode(der).decode()


MAKERS: dict[str, Callable[[], str]] = {
    "SANDBOX_PADDLE_VENDOR_ID": lambda: str(secrets.randbelow(90_000) + 10_000),
    "SANDBOX_PADDLE_AUTH_CODE": lambda: secrets.token_hex(25),
    "SANDBOX_PADDLE_KEY": new_paddle_key,
    "SANDBOX_PADDLE_HOOK_KEY": lambda: secrets.token_urlsafe(18),
    "SANDBOX_VIVOLDI_API_KEY": lambda: secrets.token_hex(16),
    "SANDBOX_VIVOLDI_SECRET": lambda: secrets.token_hex(16),
    "SANDBOX_VIVOLDI_HOOK_KEY": lambda: secrets.token_urlsafe(18),
}


def with_accounts(given: Mapping[str, str], path: Path) -> dict[str, str]:
    """`given` and what it lacks of the accounts: from the file at `path`, or new."""
    kept = read(path)
    lacking = [name for name in MAKERS if not given.get(name)]
    new = {name: MAKERS[name]() for name in lacking if name not in kept}
    if new:
        write(path, kept | new)
    kept |= new
    return dict(given) | {name: kept[name] for name in lacking}


def read(path: Path) -> dict[str, str]:
    """What was kept; nothing if there is no such file."""
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name: value for name, _, value in pairs if value}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Keep values; only the file's owner may read them."""
    text = HEAD + "".join(f"{name}={value}\n" for name, value in values.items())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
