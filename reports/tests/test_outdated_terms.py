"""A saved campaign says where it is published with other terms."""

import pytest

from reports.tests.provider_helpers import said, url_of
from reports.tests.record_helpers import signed_in
from sync.options import LineOptions
from sync.publishing.terms import terms_of
from testing.factories import (
    instant,
    make_campaign,
    make_connection,
    make_fixed_batch,
    make_publication,
    make_user,
)
from testing.saving import filled, save

pytestmark = pytest.mark.django_db
AT = instant("2026-05-01 12:00")


@pytest.fixture
def campaign():
    campaign = make_campaign(
        name="Spring",
        benefit="free",
        time_zone="Asia/Tokyo",
        text_colour="#000000",
        use_starts_at=instant("2026-04-30 15:00"),
        use_ends_at=instant("2100-12-30 15:00"),
    )
    make_fixed_batch(campaign, code="SPRING")
    line, options = make_connection(name="Clover LINE"), LineOptions()
    terms = terms_of(campaign, line, options, at=AT)
    make_publication(campaign, line, terms=terms, options=options.to_json())
    return campaign


def warnings(campaign, **changes):
    client = signed_in(make_user("Manager"))
    given = filled(use_ends_at_0="2100-12-30", **changes)
    address = url_of("campaigns_campaign_change", campaign.pk)
    return [x for x in said(save(client, address, given, follow=True)) if "LINE" in x]


def test_saving_says_which_account_has_not_been_told(campaign):
    told = warnings(campaign, name="Summer")

    assert told == [
        "Nothing of this has been sent to Clover LINE yet: do it on the campaign's "
        "Providers page."
    ]


def test_what_no_provider_is_sent_is_no_reason_to_say_so(campaign):
    assert warnings(campaign, memo="Ask Ken") == []
