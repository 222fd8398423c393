"""What can be done about a difference.

What the provider has to be told goes out as an errand, like everything else that is told
to it: so a difference that is being mended is closed here, and the next look opens it
again where it did not help.
"""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from connections.models import Connection
from sync.models import Difference, Publication
from sync.ports.paddle import CHANGEABLE
from sync.publishing.terms import FIXED
from sync.pulling.differences import (
    CLOSED,
    DOUBTFUL,
    MIRRORED,
    MISSING,
    SPENT,
    STILL_THERE,
)
from sync.pulling.terms import IMPOSSIBLE

Provider = Connection.Provider

SEND, REPLACE, AGAIN, CLOSE = "send", "replace", "again", "close"
USED, GONE, EDIT, ACCEPT = "used", "gone", "edit", "accept"
CLEAR = "clear"


@dataclass(frozen=True)
class Action:
    """What a person can do about a difference.

    `warning` says what it costs, or "" when it costs nothing. `campaign_id`: not done
    by `mend` but by the person, in that campaign's form: the page shows a link.
    `is_grave`: cannot be undone at the provider.
    """

    key: str
    label: str
    warning: str = ""
    campaign_id: int | None = None
    is_grave: bool = False


def actions_of(difference: Difference) -> list[Action]:
    """What can be done about an open difference, the likeliest first."""
    if difference.ended_at is not None:
        return []
    publication = difference.publication
    if publication is None:
        return [_accept()]
    of_all = difference.coupon_id is None
    provider = Provider(publication.connection.provider)
    found = (
        _of_publication(difference, publication, provider)
        if of_all
        else _of_coupon(difference, publication, provider)
    )
    return [*found, _accept()]


def _of_publication(
    difference: Difference, publication: Publication, provider: Provider
) -> list[Action]:
    edit = _edit(publication)
    if difference.field == IMPOSSIBLE:
        return [edit]
    if difference.field == SPENT:
        return [_clear()]
    if provider == Provider.LINE:
        return [_replace(), edit]
    if difference.field in FIXED[provider]:
        return [edit]
    return [_send_all(), edit]


def _of_coupon(
    difference: Difference, publication: Publication, provider: Provider
) -> list[Action]:
    is_line = provider == Provider.LINE
    if difference.field == MISSING:
        return [_replace(), _close_books()] if is_line else [_again(), _give_up()]
    if difference.field == CLOSED:
        return [_replace(), _close_books()]
    if difference.field == STILL_THERE:
        return [_close()]
    if difference.field == DOUBTFUL:
        return [_was_used(), _was_deleted()]
    if difference.field == MIRRORED:  # nothing there takes a use back
        return []
    if is_line:
        return [_replace(), _edit(publication)]
    if provider == Provider.PADDLE and difference.field not in CHANGEABLE:
        return [_edit(publication)]
    return [_send_one(), _edit(publication)]


# --- in words --------------------------------------------------------------------------


def _accept() -> Action:
    return Action(
        ACCEPT,
        _("Let it be"),
        _("It is not shown again until one of the two values changes."),
    )


def _edit(publication: Publication) -> Action:
    return Action(
        EDIT,
        _("Change the campaign"),
        _("Our own page and the other providers follow the campaign too."),
        campaign_id=publication.campaign_id,
    )


def _send_all() -> Action:
    return Action(
        SEND,
        _("Send what the campaign says now"),
        _("All its coupons there are changed, in everything that differs."),
    )


def _send_one() -> Action:
    return Action(
        SEND,
        _("Send ours"),
        _("What somebody changed there is overwritten."),
    )


def _replace() -> Action:
    return Action(
        REPLACE,
        _("Close it and make it again"),
        _(
            "Who holds the coupon now can't use it any more, and messages that carry it "
            "lead nowhere. That can't be undone: the new one has to be sent again."
        ),
        is_grave=True,
    )


def _again() -> Action:
    return Action(
        AGAIN,
        _("Publish it again"),
        _("If somebody deleted it on purpose, it can be used again."),
    )


def _give_up() -> Action:
    return Action(
        GONE,
        _("It is to stay away"),
        _("It is counted as taken back here. Nothing is asked of the provider."),
    )


def _close_books() -> Action:
    return Action(
        CLOSE,
        _("End it here too"),
        _("The publication is closed, and its coupon is sent to nobody any more."),
        is_grave=True,
    )


def _close() -> Action:
    return Action(
        CLOSE,
        _("Take it back again"),
        _("Nobody can use it afterwards."),
        is_grave=True,
    )


def _clear() -> Action:
    return Action(
        CLEAR,
        _("Take those codes back there"),
        _(
            "Whoever has one of them can't use it there any more; a void text keeps its "
            "worth here for those who have it. A code whose verification is undone before "
            "its turn stays. One whose verification is undone later can be published "
            "again, by “Publish new serials”."
        ),
        is_grave=True,
    )


def _was_used() -> Action:
    return Action(
        USED,
        _("It was used there"),
        _(
            "Its coupon here is verified by it. If nobody has got its serial yet, "
            "nobody gets it any more."
        ),
        is_grave=True,
    )


def _was_deleted() -> Action:
    return Action(
        GONE,
        _("It was deleted there"),
        _("Then it can be published again, or stay away."),
    )
