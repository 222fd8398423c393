"""Whether a campaign says something else by now than what its coupons were sent with."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from connections.models import Connection
from reports.step_words import field_name
from sync.errors import SyncError
from sync.models import Publication
from sync.options import options_from
from sync.publishing.terms import terms_of, unchangeable


@dataclass(frozen=True)
class Outdated:
    """What is left to send; `why_not` when it can't be, in words."""

    can_send: bool = False
    why_not: str = ""


NOTHING = Outdated()


def outdated(publication: Publication, at: datetime) -> Outdated:
    """What pressing Send would come to, as `sync.services.publishing.send_terms` decides.

    Nothing at LINE, whose coupons can't be changed, and once the campaign is over. Reads
    what the pre-flight reads: some hundred serials of each batch, whatever their number.
    """
    campaign, connection = publication.campaign, publication.connection
    is_line = connection.provider == Connection.Provider.LINE
    if is_line or campaign.use_ends_at <= at:
        return NOTHING
    options = options_from(connection.provider, publication.options)
    try:
        terms = terms_of(campaign, connection, options, at=at)
    except SyncError as error:
        return Outdated(why_not=error.message)
    if terms == publication.terms:
        return NOTHING
    if fixed := unchangeable(connection.provider, publication.terms, terms):
        return Outdated(why_not=_fixed_words(fixed, connection.provider))
    return Outdated(can_send=True)


def _fixed_words(fields: list[str], provider: str) -> str:
    names = ", ".join(dict.fromkeys(field_name(field, provider) for field in fields))
    return _(
        "The campaign has changed, and %(fields)s can't be changed there. Take the "
        "publication back and publish the campaign again."
    ) % {"fields": names}
