"""What the pages of connections say: health, quota, addresses, and what cannot be."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.text import capfirst, get_text_list
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from connections.errors import SecretUnreadable
from connections.forms.fields import is_kept
from connections.keys import public_jwk
from connections.models import Connection
from connections.usage import what_points_at

Provider = Connection.Provider
LABELS = {"paused": "danger", "trouble": "warning", "new": "info", "ok": "success"}


@dataclass(frozen=True)
class Choice:
    """A provider as it is offered: what it is for, and what to have at hand."""

    provider: str
    name: str | Promise
    use: str | Promise
    needs: str | Promise


CHOICES = (
    Choice(
        Provider.LINE,
        Provider.LINE.label,
        _(
            "Send coupons to your friends on LINE, and publish campaigns as LINE's own "
            "coupons."
        ),
        _("You need: channel secret, and an access token or the channel id."),
    ),
    Choice(
        Provider.PADDLE,
        Provider.PADDLE.label,
        _("Publish serials as coupon codes of a Paddle checkout, and see their uses."),
        _("You need: vendor id, auth code and public key."),
    ),
    Choice(
        Provider.VIVOLDI,
        Provider.VIVOLDI.label,
        _("Publish serials as Vivoldi coupons with a page and a link of their own."),
        _("You need: an API key of the Personal plan or above."),
    ),
)

# Where the address for webhooks is to be pasted.
HOOK_HELP = {
    Provider.LINE: _(
        "Paste it in the LINE Developers console, Messaging API tab, under Webhook URL; "
        "switch “Use webhook” on and press Verify."
    ),
    Provider.PADDLE: _(
        "Paste it in Paddle, Developer Tools > Alerts, for: Payment Succeeded, "
        "Subscription Payment Succeeded and Order Processing Completed."
    ),
    Provider.VIVOLDI: _(
        "Paste it as the callback URL in Vivoldi's webhook settings, and switch coupon "
        "events on."
    ),
}

# What people would look for here, and what no provider's answer holds.
UNTOLD = {
    Provider.LINE: _(
        "LINE doesn't tell who got or used one of its own coupons: only whether the "
        "coupon is running."
    ),
    Provider.PADDLE: _(
        "Paddle doesn't tell the account's name or a quota, has no call for a single "
        "coupon, and cannot take a use back."
    ),
    Provider.VIVOLDI: _(
        "Vivoldi doesn't tell the account's name or the plan, cannot list coupons, and "
        "cannot take a use back."
    ),
}


def panel_of(connection: Connection, *, may_change: bool) -> dict[str, Any]:
    """What the panel above a connection's form shows."""
    kind, words = health_of(connection)
    provider = Provider(connection.provider)
    context = {
        "health_kind": LABELS[kind],
        "health_words": words,
        "quota_words": quota_of(connection) if provider == Provider.LINE else "",
        "hook_url": hook_url(connection),
        "hook_help": HOOK_HELP[provider],
        "untold": UNTOLD[provider],
        "held_by": held_words(connection),
        "may_change": may_change,
    }
    if provider == Provider.LINE and may_change:
        context |= key_panel_of(connection)
    return context


def hook_url(connection: Connection) -> str:
    """The address to give to the provider; "" where the site takes no such webhooks."""
    try:
        place = reverse(f"hooks:{connection.provider}", args=[connection.hook_key])
    except NoReverseMatch:
        return ""
    return f"{settings.SITE_URL}{place}"


def health_of(connection: Connection) -> tuple[str, str]:
    """How a connection is: a kind for its colour, and a word."""
    if connection.state == Connection.State.PAUSED:
        return "paused", gettext("paused")
    if connection.last_error or connection.renewal_problem:
        return "trouble", gettext("trouble")
    if connection.last_contact_at is None:
        return "new", gettext("not tested")
    return "ok", gettext("works")


def quota_of(connection: Connection) -> str:
    """Messages used of the month's quota, in words; LINE's figures of the last look."""
    if connection.provider != Provider.LINE:
        return "–"
    if connection.quota_used is None:
        return gettext("not known yet")
    used = f"{connection.quota_used:,}"
    if connection.quota is None:
        return gettext("%(used)s, no limit") % {"used": used}
    return gettext("%(used)s of %(limit)s") % {
        "used": used,
        "limit": f"{connection.quota:,}",
    }


def held_words(connection: Connection) -> str:
    """Why a connection cannot be deleted and what to do instead; "" when it can be."""
    names = [capfirst(str(name)) for name in what_points_at(connection)]
    if not names:
        return ""
    return gettext(
        "It cannot be deleted, because these belong to it: %(names)s. Press Pause to "
        "stop using it: everything recorded stays."
    ) % {"names": get_text_list(names, gettext("and"))}


# --- LINE's key -------------------------------------------------------------------------


def key_panel_of(connection: Connection) -> dict[str, Any]:
    """Our key at LINE: the one in use, and the public half of one on its way."""
    is_wanted = connection.token_kind == Connection.TokenKind.V2_1
    return {
        "shows_key": is_wanted or bool(connection.key_id),
        "new_jwk": _new_jwk(connection),
        "has_pasted": is_kept(connection, "access_token"),
    }


def _new_jwk(connection: Connection) -> str:
    try:
        kept = connection.next_private_key
        return public_jwk(kept) if kept else ""
    except (SecretUnreadable, ValueError):
        return ""
