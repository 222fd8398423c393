"""Terms are computed behind the locks: what is sent last is what the campaign says."""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from campaigns.models import Campaign
from sync.errors import SyncError
from sync.models import Publication
from sync.options import LineOptions, PaddleOptions, options_from
from sync.publishing.preparing import prepare
from sync.publishing.settling import locked
from sync.publishing.terms import terms_of
from sync.services.publishing import publish, replace, send_terms
from sync.tests.publishing import an_offer
from testing.factories import make_connection, make_serials
from testing.races import Elsewhere, wait_until_somebody_waits_for_us

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def paddle():
    return make_connection(provider="paddle", account_id="1001", access_token="0a1b")


def published(connection, options=None, codes=("SPRING-0001",)):
    campaign = an_offer("paddle", 0)
    if codes:
        make_serials(campaign, list(codes))
    found = publish(
        campaign.pk,
        connection.pk,
        options=options or PaddleOptions(),
        by=None,
        nonce=uuid4(),
    )
    prepare(found.pk)
    return found


def save(campaign_id, value):
    Campaign.objects.filter(pk=campaign_id).update(benefit_value=value)


def naive_send_terms(publication_id):
    """Computes, then locks: what the order is there against."""
    seen = Publication.objects.select_related("campaign", "connection").get(
        pk=publication_id
    )
    options = options_from(seen.connection.provider, seen.options)
    terms = terms_of(seen.campaign, seen.connection, options, at=timezone.now())
    with transaction.atomic():
        found = locked([publication_id])[publication_id]
        Publication.objects.filter(pk=publication_id).update(
            terms=terms, terms_no=found.terms_no + 1
        )


def race(publication, send):
    """Somebody presses with the old campaign and has to wait, while it is saved and sent
    by somebody else; what the last to write has sent."""
    save(publication.campaign_id, 20)
    with transaction.atomic():
        locked([publication.pk])
        waiting = Elsewhere(lambda: send(publication.pk))
        wait_until_somebody_waits_for_us()
        assert Elsewhere(lambda: save(publication.campaign_id, 30)).result() is None
    assert waiting.result() is None
    publication.refresh_from_db()
    return publication.terms["discount_amount"]


def test_what_was_saved_while_a_press_waited_is_what_it_sends(paddle):
    publication = published(paddle)

    sent = race(publication, lambda pk: send_terms(pk, by=None))

    assert (sent, publication.terms_no) == ("30", 2)


def test_the_same_with_terms_computed_before_the_lock_sends_old_ones(paddle):
    publication = published(paddle)

    assert race(publication, naive_send_terms) == "20"


def while_saving(campaign_id, job):
    """The job, begun while somebody saves the campaign as its form does."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
        save(campaign.pk, 30)
        waiting = Elsewhere(job)
        wait_until_somebody_waits_for_us()
    return waiting.result()


def test_sending_waits_for_whoever_saves_the_campaign(paddle):
    publication = published(paddle)

    result = while_saving(
        publication.campaign_id, lambda: send_terms(publication.pk, by=None)
    )

    publication.refresh_from_db()
    assert (result, publication.terms["discount_amount"]) == (None, "30")


def test_publishing_waits_for_whoever_saves_the_campaign(paddle):
    campaign = an_offer("paddle", 0)
    make_serials(campaign, ["SPRING-0001"])

    result = while_saving(
        campaign.pk,
        lambda: publish(
            campaign.pk, paddle.pk, options=PaddleOptions(), by=None, nonce=uuid4()
        ),
    )

    assert result.terms["discount_amount"] == "30"


def test_making_again_waits_for_whoever_saves_the_campaign():
    old = published(make_connection(), LineOptions(), codes=())

    new = while_saving(
        old.campaign_id,
        lambda: replace(old.pk, options=LineOptions(), by=None, nonce=uuid4()),
    )

    old.refresh_from_db()
    assert (old.state, new.replaces_id) == ("closing", old.pk)
    assert "30" in str(new.terms["reward"])


def send(publication):
    """Send what the campaign says, where anything has changed."""
    with suppress_code("unchanged"):
        send_terms(publication.pk, by=None)


@contextmanager
def suppress_code(code):
    try:
        yield
    except SyncError as error:
        if error.code != code:
            raise


def test_twenty_who_send_and_save_do_not_stop_each_other(racers, paddle):
    publication = published(paddle)

    def act(number):
        if number % 2:
            save(publication.campaign_id, 10 + number)
        else:
            send(publication)

    results = racers.race(act)
    send(publication)

    assert [one for one in results if isinstance(one, Exception)] == []
    publication.refresh_from_db()
    campaign = Campaign.objects.get(pk=publication.campaign_id)
    assert publication.terms["discount_amount"] == f"{campaign.benefit_value:.0f}"
