"""Why a contact did not get, open or redeem a coupon: every reason, with its time."""

import re
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.services import move
from contacts.models import Membership
from coupons.errors import CouponError
from coupons.limiting import set_total_limit
from coupons.models import Coupon
from coupons.services import open_coupon, redeem, reissue, scan, verify
from deliveries.models import Delivery, Dispatch, Recipient
from deliveries.native import NativeCoupon
from deliveries.preparing import prepare
from deliveries.services import cancel, start_delivery, start_native, supply_of
from deliveries.settling import cancel_some
from reports.tests.record_helpers import Desk
from reports.why import MOST_CONTACTS, Outlook, answers_for, find_contacts
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_coupon,
    make_list,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def hana(desk):
    return desk.contact(name="Hana", phone="090-1234-5678", email="hana@example.com")


def why_url(campaign):
    return reverse("admin:campaigns_campaign_why", args=[campaign.pk])


def ask(desk, contact, at=None):
    contact.refresh_from_db()
    desk.campaign.refresh_from_db()
    [answer] = answers_for(desk.campaign, [contact], at=at or timezone.now())
    return answer


def words(causes):
    return [cause.words for cause in causes]


def start(desk, *contacts, **fields):
    """A delivery to a list of these, prepared."""
    delivery = start_delivery(
        desk.campaign,
        desk.connection,
        nonce=uuid4(),
        by=desk.manager,
        contact_list=fields.pop("contact_list", None) or make_list(*contacts),
        **fields,
    )
    prepare(delivery.pk)
    delivery.refresh_from_db()
    return delivery


def refuse_redeem(coupon, at=None):
    clock = (lambda: at) if at else timezone.now
    with pytest.raises(CouponError):
        redeem(coupon.token, source=TEST, clock=clock)


# --- finding ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["hana", "HANA", "090-1234-5678", "090-12", "hana@ex", " Hana "]
)
def test_a_contact_is_found_by_name_phone_and_mail(hana, typed):
    assert list(find_contacts(typed).contacts) == [hana]


def test_a_contact_is_found_by_ids(desk):
    found = desk.contact(external_id="M-0001", line_user_id="Uabc" + "0" * 29)
    desk.contact(name="M-0001 by name only", external_id="M-2")

    for typed in ("M-0001", "Uabc", "Uabc" + "0" * 29):
        assert list(find_contacts(typed).contacts) == [found]
    assert not find_contacts("Uabd").contacts
    assert [hit.external_id for hit in find_contacts("M-000").contacts] == ["M-2"]


@pytest.mark.parametrize("typed", ["%", "_", "\\", "' or 1=1", "U" + "f" * 40])
def test_what_means_something_to_a_database_is_only_text(hana, typed):
    assert not find_contacts(typed).contacts


def test_a_name_that_several_have_lists_them_and_says_when_there_are_more(desk):
    for _ in range(MOST_CONTACTS + 1):
        desk.contact(name="Sato")

    hits = find_contacts("Sato")

    assert len(hits.contacts) == MOST_CONTACTS
    assert hits.is_more


# --- reasons ----------------------------------------------------------------------------


def test_somebody_on_no_list_was_sent_nothing(desk, hana):
    start(desk, desk.contact(), contact_list=make_list(desk.contact(), name="Regulars"))

    answer = ask(desk, hana)

    assert answer.headline == "Never got a coupon of this campaign."
    assert words(answer.causes) == ["Not on the list “Regulars” that was sent to."]
    assert "Put the contact on a list" in answer.causes[0].advice


def test_nothing_sent_at_all(desk, hana):
    assert "Nothing has been sent in this campaign yet." in words(ask(desk, hana).now)


def test_a_blocked_contact_was_left_out(desk, hana):
    hana.is_reachable, hana.reach_changed_at = False, timezone.now()
    hana.save()
    start(desk, hana, desk.contact())

    answer = ask(desk, hana)

    assert "blocked the account on LINE" in answer.now[0].words
    assert "Since" in answer.now[0].said
    assert "the contact has blocked the account" in answer.causes[0].words


def test_somebody_put_on_the_list_later_is_told_so(desk, hana):
    delivery = start(desk, desk.contact())
    Membership.objects.create(contact=hana, contact_list=delivery.contact_list)

    [cause] = ask(desk, hana).causes

    assert "at that time the contact was not on the list" in cause.words
    assert "Nothing stands against it now" in cause.advice


def test_somebody_at_the_limit_was_left_out(desk, hana):
    desk.coupon("redeemed", hana)
    start(desk, hana, desk.contact())

    answer = ask(desk, hana)

    assert any(
        "as often as the campaign allows (1)" in line for line in words(answer.now)
    )
    assert any("Left out of the delivery" in line for line in words(answer.causes))


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("refused", "LINE refused the message"),
        ("unknown", "It is unclear whether the message"),
        ("accepted", "LINE took the message"),
    ],
)
def test_what_line_said_is_told(desk, hana, outcome, told):
    delivery = start(desk, hana)
    Dispatch.objects.update(status=outcome, settled_at=timezone.now())
    Recipient.objects.update(outcome=outcome, reason="The property, to, is invalid.")

    cause = next(c for c in ask(desk, hana).causes if told in c.words)

    assert cause.said == "The property, to, is invalid."
    assert str(delivery.contact_list) in cause.words
    assert cause.link.url.endswith(f"/{delivery.pk}/progress/")


def test_a_cancelled_message_says_why(desk, hana):
    delivery = start(desk, hana)
    cancel(delivery.pk, by=desk.manager)
    delivery.refresh_from_db()
    cancel_some(delivery.pk, reason=delivery.pause_reason, at=timezone.now())

    answer = ask(desk, hana)

    cause = next(c for c in answer.causes if "was cancelled" in c.words)
    assert cause.said == "Cancelled by mika."
    assert answer.headline == "Has a coupon that has not reached them."


def test_a_message_that_waits_in_a_paused_delivery_says_why(desk, hana):
    delivery = start(desk, hana)
    delivery.move((Delivery.State.READY,), Delivery.State.PAUSED, pause_reason="Tea.")

    cause = next(c for c in ask(desk, hana).causes if "waiting to be sent" in c.words)

    assert (cause.said, cause.advice) == ("Tea.", "Resume the delivery.")


def test_sent_and_never_opened(desk, hana):
    desk.coupon("sent", hana)

    answer = ask(desk, hana)
    later = ask(desk, hana, at=timezone.now() + timedelta(days=40))

    assert "has not been opened" in answer.headline
    assert any("waits to be opened" in line for line in words(answer.now))
    assert "Never opened it before it ended" in later.headline
    assert "ended without being opened" in later.causes[0].words


def test_opened_and_never_redeemed(desk, hana):
    coupon = desk.coupon("sent", hana)
    open_coupon(coupon.token, source=TEST)

    assert "has not redeemed it yet" in ask(desk, hana).headline
    later = ask(desk, hana, at=timezone.now() + timedelta(days=40))
    assert "did not redeem it before it ended" in later.headline


def test_a_paused_campaign_refused_them_and_works_again_after(desk, hana):
    coupon = desk.coupon("sent", hana)
    move(desk.campaign.pk, "pause")
    refuse_redeem(coupon)

    paused = ask(desk, hana)
    move(desk.campaign.pk, "resume")
    running = ask(desk, hana)

    assert "The campaign is paused" in paused.now[0].words
    assert "pressed Redeem" in paused.causes[0].words
    assert "Once it is resumed" in paused.causes[0].advice
    assert "The campaign runs again" in running.causes[0].advice


def test_no_serial_left_says_to_add_some(desk, hana):
    desk.batch.serials.all().update(state=2)
    type(desk.batch).objects.update(voided=50)
    coupon = desk.coupon("sent", hana)
    refuse_redeem(coupon)

    answer = ask(desk, hana)

    assert "No serial is free: nobody can redeem." in words(answer.now)
    assert answer.causes[0].said == "All coupons have been given out."
    assert "Add serials" in answer.causes[0].advice


def test_a_reached_limit_in_total_is_told_apart_from_the_stock(desk, hana):
    set_total_limit(desk.campaign, 1)
    desk.coupon("redeemed")
    refuse_redeem(desk.coupon("sent", hana))

    answer = ask(desk, hana)

    assert "The limit in total is reached: nobody can redeem." in words(answer.now)
    assert "A limit was reached" in answer.causes[0].said


def test_a_press_after_the_end_is_told(desk, hana):
    coupon = desk.coupon("sent", hana)
    late = coupon.ends_at + timedelta(minutes=1)
    refuse_redeem(coupon, at=late)

    causes = ask(desk, hana, at=late + timedelta(minutes=1)).causes

    assert causes[0].said == "This coupon has expired."
    assert "ended without being opened" in causes[1].words


def test_redeemed_verified_taken_back_and_verified_again(desk, hana):
    coupon = desk.coupon("verified", hana)
    assert "used it at a store" in ask(desk, hana).headline

    desk.take_back(coupon)
    back = ask(desk, hana)
    verify(coupon.pk, store=desk.store, staff=desk.clerk)
    told = words(ask(desk, hana).causes)

    assert "no store has verified it" in back.headline
    assert "was taken back by" in back.causes[0].words
    assert back.causes[0].said == "Wrong coupon"
    assert sum("“Clover Street” verified" in line for line in told) == 2


def test_revoked_and_replaced(desk, hana):
    revoked = desk.coupon("revoked", hana)

    alone = ask(desk, hana)
    new = reissue(revoked.pk, source=TEST)
    replaced = ask(desk, hana)

    assert alone.headline == "The coupon was revoked."
    assert any("was revoked and not replaced" in line for line in words(alone.now))
    assert not any("not replaced" in line for line in words(replaced.now))
    in_place = f"Coupon {new.shown_number} was issued in place of a revoked one."
    assert in_place in words(replaced.causes)


def test_causes_come_newest_first(desk, hana):
    desk.coupon("verified", hana)

    times = [cause.at for cause in ask(desk, hana).causes]

    assert times == sorted(times, reverse=True)


def test_another_contacts_and_another_campaigns_rows_stay_out(desk, hana):
    desk.coupon("sent", desk.contact(name="Ren"))
    make_coupon(make_campaign(), hana, status="sent")

    assert not ask(desk, hana).causes


def test_queries_do_not_grow_with_contacts_and_coupons(
    desk, django_assert_max_num_queries
):
    contacts = [desk.contact(name=f"Sato {n}") for n in range(MOST_CONTACTS)]
    start(desk, *contacts)
    start(desk, *contacts)
    for contact in contacts:
        desk.coupon("verified", contact)

    with django_assert_max_num_queries(16):
        answers = answers_for(desk.campaign, contacts, at=timezone.now())

    assert len(answers) == MOST_CONTACTS


# --- the page ---------------------------------------------------------------------------


def test_one_hit_goes_on_to_an_address_without_what_was_typed(desk, hana):
    desk.coupon("sent", hana)

    answer = desk.client.post(why_url(desk.campaign), {"q": "hana@example.com"})
    page = desk.client.get(answer.headers["Location"]).content.decode()

    assert answer.headers["Location"].endswith(f"?contact={hana.pk}")
    assert "waits to be opened" in page
    assert Coupon.objects.get().token not in page


def test_several_hits_are_all_there_and_closed(desk):
    for _ in range(3):
        desk.contact(name="Sato")

    page = desk.client.post(why_url(desk.campaign), {"q": "sato"}).content.decode()

    assert "3 contacts fit" in page
    assert page.count('<details class="bo-panel why-answer"') == 3


def test_nobody_like_that_says_how_contacts_are_found(desk):
    page = desk.client.post(why_url(desk.campaign), {"q": "nobody"}).content.decode()

    assert "No contact like that." in page


def test_a_coupon_link_is_neither_looked_up_nor_shown(desk, hana):
    token = desk.coupon("sent", hana).token

    page = desk.client.post(
        why_url(desk.campaign), {"q": f"https://x.example/c/{token}"}
    )

    assert page.status_code == 400
    assert token not in page.content.decode()


@pytest.mark.parametrize(
    "asked", ["x", "-1", "0", "99999999999999999999", "١", "1 or 1=1", "%00"]
)
def test_a_strange_contact_in_the_address_is_not_found(desk, asked):
    assert (
        desk.client.get(why_url(desk.campaign), {"contact": asked}).status_code == 404
    )


def test_an_empty_search_says_so(desk):
    page = desk.client.post(why_url(desk.campaign), {"q": "  "})

    assert page.status_code == 400
    assert "Type who it is about." in page.content.decode()


def test_who_may_ask(desk, hana):
    visitors = {"Viewer": 200, "Editor": 200, "Manager": 200, "Store staff": 302}
    for role, status in visitors.items():
        client = Client()
        client.force_login(make_user(role))
        assert client.get(why_url(desk.campaign)).status_code == status, role
    partly = make_user("", is_staff=True)
    partly.user_permissions.add(Permission.objects.get(codename="view_campaign"))
    client = Client()
    client.force_login(partly)
    assert client.get(why_url(desk.campaign)).status_code == 403
    shown = client.get(
        reverse("admin:campaigns_campaign_change", args=[desk.campaign.pk])
    )
    assert why_url(desk.campaign) not in shown.content.decode()


def test_markup_in_a_name_is_text(desk):
    contact = desk.contact(name="<b>Bold</b>")

    page = desk.client.get(why_url(desk.campaign), {"contact": contact.pk})

    assert "<b>Bold</b>" not in page.content.decode()


def test_a_per_cent_sign_in_names_breaks_nothing(desk):
    contact = desk.contact(name="50%(x)s off")
    desk.store.name = "100% Store %(number)s"
    desk.store.save()
    start(desk, contact, contact_list=make_list(contact, name="%s 100%"))
    coupon = desk.coupon("verified", contact)
    scan(coupon.number, store=desk.store, staff=desk.clerk, nonce=uuid4())

    told = words(ask(desk, contact).causes)

    assert any("“100% Store %(number)s” verified" in line for line in told)
    assert any("“100% Store %(number)s” could not verify" in line for line in told)


def test_the_campaigns_page_says_how_many_can_still_go_out(desk, hana):
    desk.coupon("sent", hana)
    set_total_limit(desk.campaign, 10)
    page = reverse("admin:campaigns_campaign_change", args=[desk.campaign.pk])

    shown = desk.client.get(page).content.decode()
    plain = " ".join(re.sub(r"<[^>]+>", " ", shown).split())

    assert "Can still go out 9" in plain
    assert "40 serials would be left over" in plain
    assert why_url(desk.campaign) in shown


def test_the_campaigns_page_says_what_runs_short_and_by_how_many(desk):
    for _ in range(3):
        desk.coupon("sent")
    set_total_limit(desk.campaign, 1)
    page = reverse("admin:campaigns_campaign_change", args=[desk.campaign.pk])

    shown = desk.client.get(page).content.decode()

    assert "The limit in total runs short first: 2 coupons" in shown


def test_what_is_not_all_counted_is_not_told_as_a_fact(desk):
    supply = supply_of(desk.campaign)
    unsure = replace(supply, out=90, is_out_exact=False)

    shown = render_to_string(
        "reports/_outlook.html", {"outlook": Outlook(unsure), "campaign": desk.campaign}
    )

    assert "at most 90" in shown
    assert "It may run short: up to 40 coupons" in " ".join(shown.split())


# --- ends, and LINE's own coupon -------------------------------------------------------


def test_an_end_at_midnight_is_told_as_the_last_minute(desk, hana, client):
    coupon = make_coupon(desk.campaign, hana, status="sent")
    desk.campaign.time_zone = "Asia/Tokyo"
    desk.campaign.save(update_fields=["time_zone"])
    midnight = instant("2026-12-31 15:00")
    Coupon.objects.filter(pk=coupon.pk).update(ends_at=midnight)
    type(desk.campaign).objects.update(use_ends_at=midnight)

    before = ask(desk, hana, at=instant("2026-12-01 00:00"))
    after = ask(desk, hana, at=instant("2027-01-02 00:00"))

    told = " ".join(words(before.now) + words(after.now))
    assert "It ends on 2026-12-31 23:59 (Asia/Tokyo)." in told
    assert "was over on 2026-12-31 23:59 (Asia/Tokyo)." in told
    ended = next(cause for cause in after.causes if "ended" in cause.words)
    assert f"{ended.told_at:%Y-%m-%d %H:%M}" == "2026-12-31 23:59"


def send_native(desk, contact, outcome="accepted"):
    delivery = start_native(
        desk.campaign,
        desk.connection,
        NativeCoupon("01ABC"),
        nonce=uuid4(),
        by=desk.manager,
        contact=contact,
    )
    prepare(delivery.pk)
    Dispatch.objects.filter(delivery=delivery).update(
        status=outcome, settled_at=timezone.now()
    )
    Recipient.objects.filter(delivery=delivery).update(outcome=outcome)
    return delivery


def test_of_lines_own_coupon_it_says_that_line_does_not_tell(desk, hana):
    send_native(desk, hana)

    answer = ask(desk, hana)

    assert "LINE's own coupon" in answer.headline
    assert "LINE took the message with its own coupon to “Hana”." in words(
        answer.causes
    )
    assert any("doesn't tell" in cause.advice for cause in answer.causes)


def test_lines_own_coupon_refused_is_no_coupon(desk, hana):
    send_native(desk, hana, outcome="refused")

    assert ask(desk, hana).headline == "Never got a coupon of this campaign."


def test_a_coupon_of_ours_says_more_than_lines_own(desk, hana):
    send_native(desk, hana)
    make_coupon(desk.campaign, hana, status="redeemed")

    assert ask(desk, hana).headline.startswith("Redeemed it")
