"""Paddle Classic's alerts: whether a call is Paddle's, and what it tells.

Alerts are forms. Verify first, on every field as it came, then parse. Source: Paddle
Classic, "Verifying webhooks" and the alert reference.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from providers.answers import plain, storable
from providers.errors import Unreadable

SIGNATURE = "p_signature"
_MAX_FIELDS = 500
_MAX_VALUE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# All that we need to know of a sale. The buyer's address, name and IP, which alerts
# carry too, are nobody's business here and are not kept.
_KEPT = frozenset(
    "alert_id alert_name event_time coupon order_id checkout_id product_id quantity "
    "currency sale_gross subscription_id subscription_payment_id subscription_plan_id "
    "initial_payment instalments refund_type gross_refund".split()
)


@dataclass(frozen=True)
class Alert:
    """One alert. `kind` is Paddle's `alert_name`, known to us or not.

    `alert_id` is the same when it comes again. `occurred_at` is 1970 without a usable
    time. `coupon` and `order_id` are "" where the alert has none: refunds have no
    coupon. `kept` can be stored as JSON in PostgreSQL and names no buyer.
    """

    alert_id: str
    kind: str
    occurred_at: datetime
    coupon: str
    order_id: str
    kept: dict[str, str] = field(repr=False)


def fields_of(raw: bytes) -> dict[str, str]:
    """The form's fields exactly as they came, empty ones too; Unreadable if none.

    Bytes that are no UTF-8 stay in it as half surrogates, so that they can be signed.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise Unreadable("The alert has too many fields.") from None
    if not pairs:
        raise Unreadable("The alert is not a form.")
    return dict(pairs)  # of fields with one name PHP knows the last alone


def is_signed(
    fields: Mapping[str, str], signature: str | None, public_key: str
) -> bool:
    """Whether Paddle signed these fields; `public_key` is the account's, PEM.

    RSA (PKCS #1 v1.5) with SHA-1 over what PHP's `serialize` makes of the fields in the
    order of their names, without the signature itself. Anything odd is a no.
    """
    key = public_key_of(public_key)
    if key is None or not signature:
        return False
    try:
        given = base64.b64decode(signature, validate=True)
        # SHA-1 is Paddle's choice; who can forge it needs a second text of our choosing.
        key.verify(given, _serialized(fields), padding.PKCS1v15(), SHA1())  # noqa: S303
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def public_key_of(text: str) -> rsa.RSAPublicKey | None:
    """An RSA public key from PEM; None for anything else."""
    try:
        key = load_pem_public_key(text.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


def parse(fields: Mapping[str, str]) -> Alert:
    """What an alert tells; raises Unreadable when it does not say what it is."""
    kind = plain(fields.get("alert_name"), 64)
    if not kind:
        raise Unreadable("The alert does not say what it is.")
    kept: dict[str, str] = storable(
        {name: fields[name][:_MAX_VALUE] for name in sorted(_KEPT & fields.keys())}
    )
    return Alert(
        alert_id=_id_of(fields),
        kind=kind,
        occurred_at=_instant(fields.get("event_time", "")),
        coupon=plain(fields.get("coupon"), 300),
        order_id=plain(fields.get("order_id"), 80),
        kept=kept,
    )


def serialize(fields: Mapping[str, str]) -> bytes:
    """What PHP's `serialize` makes of an array of texts, sorted by name as bytes."""
    pairs = sorted((_bytes(name), _bytes(text)) for name, text in fields.items())
    inner = b"".join(_php(name) + _php(text) for name, text in pairs)
    return b"a:%d:{%s}" % (len(pairs), inner)


def _serialized(fields: Mapping[str, str]) -> bytes:
    return serialize({name: fields[name] for name in fields if name != SIGNATURE})


def _php(text: bytes) -> bytes:
    return b's:%d:"%s";' % (len(text), text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _id_of(fields: Mapping[str, str]) -> str:
    """Paddle's id, or one made of the content, which is the same when it comes again."""
    given = fields.get("alert_id", "")
    if given and given == plain(given, 64):
        return given
    return f"sha256-{hashlib.sha256(_serialized(fields)).hexdigest()[:40]}"


def _instant(text: str) -> datetime:
    """`YYYY-MM-DD HH:MM:SS` in UTC."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return _EPOCH
