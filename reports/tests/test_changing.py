"""Between the campaign's form and its saving: what is asked, of whom, and what follows."""

import io
import json
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from campaigns.models import Campaign, CampaignEvent, UnsavedChange
from campaigns.services import move, record
from coupons.ends import run
from coupons.models import Coupon, EndsChange
from coupons.services import issue, redeem, revoke, verify
from reports.admin.changing import out_of
from reports.tests.record_helpers import signed_in, words_of
from testing import saving
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)
from testing.saving import answered, save

pytestmark = pytest.mark.django_db

STARTS, ENDS = instant("2026-04-30 15:00"), instant("2100-12-30 15:00")


def filled(**changes):
    """The form of `make_running` as it is sent back, with these changes."""
    return saving.filled(**{"use_ends_at_0": "2100-12-30"} | changes)


def make_running(**fields):
    fields = {
        "name": "Spring",
        "benefit": "free",
        "time_zone": "Asia/Tokyo",
        "use_starts_at": STARTS,
        "use_ends_at": ENDS,
        "text_colour": "#000000",
    } | fields
    campaign = make_campaign(**fields)
    make_serials(campaign, 20)
    return campaign


def url_of(campaign):
    return reverse("admin:campaigns_campaign_change", args=[campaign.pk])


@pytest.fixture
def campaign():
    return make_running()


@pytest.fixture
def mika():
    return make_user("Manager", username="mika", first_name="Mika")


@pytest.fixture
def manager(mika):
    return signed_in(mika)


@pytest.fixture
def editor():
    return signed_in(make_user("Editor", first_name="Ken"))


def is_question(page):
    return page.context is not None and "unsaved" in page.context


LONGER = {"use_ends_at_0": "2100-12-31"}


# --- when it asks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        LONGER,
        {"use_ends_at_0": "2100-12-01"},
        {"use_starts_at_0": "2026-05-02"},
        {"expiry": "from_sending", "expiry_amount": "3"},
        {"expiry": "from_redemption", "expiry_amount": "3"},
        {"time_zone": "Asia/Taipei"},
        {"barcode": "none"},
        {"verifying": "button"},
        {"limit_per_contact": "2"},
        {"benefit": "gift"},
        {"name": "Summer"},
        {"usage_condition": "From 1,000 yen"},
    ],
    ids=range(12),
)
def test_what_matters_to_coupons_that_are_out_is_asked_about_and_not_saved(
    campaign, manager, change
):
    make_coupon(campaign, status="sent")
    before = Campaign.objects.values().get()

    page = manager.post(url_of(campaign), filled(**change))

    assert page.status_code == 200
    assert is_question(page)
    assert Campaign.objects.values().get() == before
    assert not CampaignEvent.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"memo": "For the spring fair"},
        {"background_colour": "#FFFFF0"},
        {"send_ends_at_0": "2100-12-01"},
        {"stock_warning": "5"},
    ],
    ids=range(4),
)
def test_what_does_not_matter_to_them_is_saved_at_once_and_kept_in_the_history(
    campaign, manager, change
):
    make_coupon(campaign, status="sent")

    page = manager.post(url_of(campaign), filled(**change))

    assert not is_question(page)
    event = CampaignEvent.objects.get()
    assert set(event.details["fields"]) == {key.removesuffix("_0") for key in change}


def test_the_history_tells_the_time_of_the_campaigns_zone(campaign, manager):
    at = instant("2026-11-21 20:03")
    CampaignEvent.objects.create(campaign=campaign, kind="paused", at=at)

    shown = manager.get(url_of(campaign)).content.decode()

    assert shown.count("2026-11-22 05:03") == 2
    assert "2026-11-21 20:03" not in shown


def test_how_a_browser_ends_lines_is_no_change(manager):
    campaign = make_running(instructions="Show this.\nOne a visit.")
    make_coupon(campaign, status="sent")

    page = manager.post(
        url_of(campaign), filled(instructions="Show this.\r\nOne a visit.")
    )

    assert not is_question(page)
    assert not CampaignEvent.objects.exists()


def test_a_form_that_changes_nothing_asks_nothing_and_leaves_no_trace(
    campaign, manager
):
    make_coupon(campaign)

    page = manager.post(url_of(campaign), filled())

    assert not is_question(page)
    assert not CampaignEvent.objects.exists()


def test_a_draft_is_saved_without_a_question(manager):
    draft = make_running(state="draft")

    page = manager.post(url_of(draft), filled(name="Summer", **LONGER))

    assert not is_question(page)
    draft.refresh_from_db()
    assert draft.name == "Summer"
    assert not EndsChange.objects.exists()


def test_another_time_zone_is_asked_about_even_in_a_draft(manager):
    draft = make_running(state="draft")

    page = manager.post(url_of(draft), filled(time_zone="Asia/Taipei"))

    assert is_question(page)


def test_what_is_wrong_with_the_form_is_told_before_anything_is_asked(
    campaign, manager
):
    make_coupon(campaign)

    page = manager.post(url_of(campaign), filled(name="", **LONGER))

    assert not is_question(page)
    assert "name" in page.context["adminform"].form.errors


# --- what it says -----------------------------------------------------------------------


def test_the_page_names_each_field_before_and_after_with_the_zone(campaign, manager):
    make_coupon(campaign, status="sent")

    page = words_of(manager.post(url_of(campaign), filled(barcode="none", **LONGER)))

    assert "Dec 30, 2100, 11:59 PM (Japan time)" in page
    assert "Dec 31, 2100, 11:59 PM (Japan time)" in page
    assert "Barcode QR code" in page
    assert "none" in page


def test_the_page_counts_what_is_out_by_the_tallies(campaign, manager):
    clerk = make_user("Store staff")
    for status in ("issued", "sent", "sent", "redeemed"):
        make_coupon(campaign, status=status)
    verified = make_coupon(campaign, status="redeemed")
    verify(verified.pk, store=make_store(clerk), staff=clerk)
    for status in ("sent", "redeemed"):
        gone = make_coupon(campaign, status=status)
        revoke(gone.pk, source=TEST, reason="lost")

    page = manager.post(url_of(campaign), filled(**LONGER))

    assert page.context["out"].waiting == 3
    assert page.context["out"].redeemed == 1
    assert "Also the 4 coupons already out" in words_of(page)


def test_the_page_warns_before_everything_ends_at_once(campaign, manager):
    make_coupon(campaign, status="redeemed")

    page = words_of(manager.post(url_of(campaign), filled(use_ends_at_0="2026-06-01")))

    assert "would have expired at once" in page


def test_the_page_says_that_what_expired_lives_again(manager):
    campaign = make_running(use_ends_at=timezone.now() + timedelta(minutes=1))
    make_coupon(campaign, status="sent")

    page = words_of(manager.post(url_of(campaign), filled(**LONGER)))

    assert "lives again" in page


def test_what_is_out_is_never_counted_in_the_table_of_coupons(campaign):
    make_coupon(campaign, status="sent")

    with CaptureQueriesContext(connection) as asked:
        out_of(campaign)

    assert asked.captured_queries
    assert not [q for q in asked.captured_queries if "coupons_coupon" in q["sql"]]


# --- the answers ------------------------------------------------------------------------


def test_new_coupons_only(campaign, manager, mika):
    coupon = make_coupon(campaign, status="sent")

    save(manager, url_of(campaign), filled(**LONGER), "new")

    campaign.refresh_from_db()
    coupon.refresh_from_db()
    assert campaign.use_ends_at == instant("2100-12-31 15:00")
    assert coupon.ends_at == ENDS
    change = EndsChange.objects.get()
    assert (change.is_for_issued, change.state) == (False, "done")
    event = CampaignEvent.objects.get()
    assert (event.kind, event.actor, change.event) == ("changed", mika, event)
    assert event.details["fields"] == {
        "use_ends_at": [ENDS.isoformat(), campaign.use_ends_at.isoformat()]
    }


def test_also_those_that_are_out_in_the_background(campaign, manager):
    coupon = make_coupon(campaign, status="sent")

    page = save(manager, url_of(campaign), filled(**LONGER), "all", follow=True)

    work = EndsChange.objects.get()
    assert (work.state, work.is_for_issued) == ("working", True)
    assert "0 of 1 coupons changed" in words_of(page)
    state = manager.get(reverse("admin:campaigns_campaign_ends", args=[campaign.pk]))
    assert state.json() == {"state": "working", "done": 0, "total": 1}

    run(work.pk)

    coupon.refresh_from_db()
    assert coupon.ends_at == instant("2100-12-31 15:00")
    page = words_of(manager.get(url_of(campaign)))
    assert "coupons changed" not in page
    assert "of 1, 1 got another end" in page
    assert CampaignEvent.objects.count() == 1


def test_back_to_the_form_keeps_what_was_typed_and_saves_nothing(campaign, manager):
    make_coupon(campaign, status="sent")
    typed = filled(name="Sommer & Söhne", memo="  two  ", **LONGER)

    page = save(manager, url_of(campaign), typed, "back")

    form = page.context["adminform"].form
    assert form["name"].value() == "Sommer & Söhne"
    assert form["memo"].value() == "  two  "
    assert "2100-12-31" in page.content.decode()
    assert not form.errors
    campaign.refresh_from_db()
    assert (campaign.name, campaign.use_ends_at) == ("Spring", ENDS)


def test_an_editor_may_change_new_coupons_only_and_sees_why(campaign, editor):
    coupon = make_coupon(campaign, status="sent")

    page = editor.post(url_of(campaign), filled(**LONGER))
    forced = answered(editor, url_of(campaign), page, "all")

    assert "Only Managers may" in words_of(page)
    assert 'value="all"' not in page.content.decode()
    assert forced.status_code == 403
    campaign.refresh_from_db()
    assert campaign.use_ends_at == ENDS

    answered(editor, url_of(campaign), page, "new")
    campaign.refresh_from_db()
    coupon.refresh_from_db()
    assert campaign.use_ends_at != ENDS
    assert coupon.ends_at == ENDS


def test_another_time_zone_never_touches_coupons_that_are_out(campaign, manager):
    coupon = make_coupon(campaign, status="sent")

    page = manager.post(url_of(campaign), filled(time_zone="Asia/Taipei"))
    forced = answered(manager, url_of(campaign), page, "all")

    assert "Taipei" in words_of(page)
    assert "never touches them" in words_of(page)
    assert forced.status_code == 403
    answered(manager, url_of(campaign), page, "new")
    campaign.refresh_from_db()
    coupon.refresh_from_db()
    assert campaign.time_zone == "Asia/Taipei"
    assert campaign.use_ends_at == ENDS + timedelta(hours=1)
    assert coupon.ends_at == ENDS


def test_no_answer_saves_nothing_and_is_asked_again(campaign, manager):
    make_coupon(campaign)

    page = save(manager, url_of(campaign), filled(**LONGER), "")

    assert page.status_code == 400
    assert is_question(page)
    campaign.refresh_from_db()
    assert campaign.use_ends_at == ENDS


def test_an_answer_pressed_twice_is_one_change(campaign, manager):
    make_coupon(campaign)
    page = manager.post(url_of(campaign), filled(**LONGER))

    answered(manager, url_of(campaign), page, "all")
    again = answered(manager, url_of(campaign), page, "all", follow=True)

    assert "answered already" in words_of(again)
    assert EndsChange.objects.count() == CampaignEvent.objects.count() == 1
    assert not UnsavedChange.objects.exists()


def test_nobody_answers_for_another(campaign, manager, editor):
    make_coupon(campaign)
    page = manager.post(url_of(campaign), filled(**LONGER))

    answered(editor, url_of(campaign), page, "new")

    campaign.refresh_from_db()
    assert campaign.use_ends_at == ENDS


@pytest.mark.parametrize("key", ["", "x", "9" * 40, "-1", "²", "1 OR 1=1"])
def test_a_made_up_question_is_told_and_changes_nothing(campaign, manager, key):
    page = manager.post(url_of(campaign), {"_unsaved": key, "_answer": "all"})

    assert page.status_code == 302
    campaign.refresh_from_db()
    assert campaign.use_ends_at == ENDS


def test_a_viewer_is_asked_nothing(campaign):
    viewer = signed_in(make_user("Viewer"))
    make_coupon(campaign)

    assert viewer.post(url_of(campaign), filled(**LONGER)).status_code == 403
    assert viewer.get(url_of(campaign)).status_code == 200


# --- pictures and passwords -------------------------------------------------------------


def picture(colour="red"):
    out = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(out, "PNG")
    return SimpleUploadedFile("fair.png", out.getvalue(), "image/png")


def colour_of(campaign):
    with campaign.image.open() as file, Image.open(file) as image:
        return image.convert("RGB").getpixel((32, 32))


def test_a_chosen_picture_goes_through_the_question(campaign, manager):
    make_coupon(campaign)

    save(manager, url_of(campaign), filled(image=picture(), **LONGER))

    campaign.refresh_from_db()
    assert colour_of(campaign) == (255, 0, 0)


def test_a_chosen_picture_goes_back_to_the_form_and_comes_again(campaign, manager):
    make_coupon(campaign)
    back = save(manager, url_of(campaign), filled(image=picture(), **LONGER), "back")
    assert "is kept, though its field is empty" in back.content.decode()
    kept = re.search(r'name="_kept" value="(\d+)"', back.content.decode())
    assert "fair.png" in words_of(back)

    save(manager, url_of(campaign), filled(_kept=kept[1], **LONGER))

    campaign.refresh_from_db()
    assert colour_of(campaign) == (255, 0, 0)


def test_a_password_goes_through_and_is_nowhere_to_be_read(campaign, manager):
    make_coupon(campaign)
    typed = {"new_password": "umbrella-7", "new_password_again": "umbrella-7"}

    page = manager.post(url_of(campaign), filled(verifying="password", **typed))
    with connection.cursor() as cursor:
        cursor.execute("SELECT fields FROM campaigns_unsavedchange")
        assert "umbrella" not in cursor.fetchone()[0]
    answered(manager, url_of(campaign), page, "new")

    assert "umbrella" not in page.content.decode()
    campaign.refresh_from_db()
    assert campaign.has_password("umbrella-7")
    assert "umbrella" not in json.dumps(CampaignEvent.objects.get().details)


def test_what_nobody_answered_for_a_day_goes(campaign, manager):
    make_coupon(campaign)
    manager.post(url_of(campaign), filled(**LONGER))
    UnsavedChange.objects.update(at=timezone.now() - timedelta(hours=25))

    manager.post(url_of(campaign), filled(**LONGER))

    assert UnsavedChange.objects.count() == 1


# --- two people at once -----------------------------------------------------------------


def seen_on(page):
    return re.search(r'name="_seen" value="([^"]+)"', page.content.decode())[1]


def test_the_second_of_two_sees_that_the_campaign_changed_meanwhile(
    campaign, manager, editor
):
    manager.post(url_of(campaign), filled(memo="Before that"))
    opened = seen_on(editor.get(url_of(campaign)))
    manager.post(url_of(campaign), filled(memo="Mika was here"))

    page = editor.post(url_of(campaign), filled(memo="Ken's", _seen=opened))

    assert page.status_code == 409
    assert "Mika" in words_of(page)
    assert "Internal memo: Before that → Mika was here" in words_of(page)
    assert len(page.context["meanwhile"]) == 1
    campaign.refresh_from_db()
    assert campaign.memo == "Mika was here"

    answered(editor, url_of(campaign), page, "new")
    campaign.refresh_from_db()
    assert campaign.memo == "Ken's"


def test_who_changes_it_while_the_question_is_open_is_seen_too(
    campaign, manager, editor
):
    make_coupon(campaign)
    page = editor.post(url_of(campaign), filled(**LONGER))
    manager.post(url_of(campaign), filled(memo="Mika was here"))

    again = answered(editor, url_of(campaign), page, "new")

    assert again.status_code == 409
    campaign.refresh_from_db()
    assert campaign.use_ends_at == ENDS
    answered(editor, url_of(campaign), again, "new")
    campaign.refresh_from_db()
    assert campaign.use_ends_at != ENDS


def test_who_went_back_to_the_form_is_still_told_of_others(campaign, manager, editor):
    make_coupon(campaign)
    back = save(editor, url_of(campaign), filled(**LONGER), "back")
    manager.post(url_of(campaign), filled(memo="Mika was here"))

    page = editor.post(url_of(campaign), filled(_seen=seen_on(back), **LONGER))

    assert page.status_code == 409


@pytest.mark.parametrize("seen", ["", "x", "2026-13-01T00:00:00Z", "2026-01-01T00:00"])
def test_a_made_up_version_is_no_harm(campaign, manager, seen):
    page = manager.post(url_of(campaign), filled(memo="x", _seen=seen))

    assert page.status_code == 302


# --- the history ------------------------------------------------------------------------


def test_each_step_of_the_campaign_is_in_its_history(manager, mika):
    campaign = make_running(state="draft")
    for action in ("activate", "pause", "resume", "end"):
        manager.post(
            reverse("admin:campaigns_campaign_move", args=[campaign.pk, action])
        )

    events = list(CampaignEvent.objects.order_by("pk"))
    assert [event.kind for event in events] == [
        "activated",
        "paused",
        "resumed",
        "ended",
    ]
    assert {event.actor for event in events} == {mika}
    assert all(event.request_id for event in events)
    page = words_of(manager.get(url_of(campaign)))
    assert "Ended · Mika" in page


def test_a_refused_step_leaves_no_trace(campaign):
    with pytest.raises(Exception, match="no longer in a state"):
        move(campaign.pk, "resume")

    assert not CampaignEvent.objects.exists()


def test_a_draft_that_is_deleted_takes_its_history_along(manager):
    draft = make_campaign(state="draft")
    record(draft.pk, CampaignEvent.Kind.CHANGED, at=timezone.now())

    page = reverse("admin:campaigns_campaign_delete", args=[draft.pk])
    manager.post(page, {"post": "yes"})

    assert not Campaign.objects.exists()
    assert not CampaignEvent.objects.exists()


@pytest.mark.postgres
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE campaigns_campaignevent SET kind = 'ended'",
        "DELETE FROM campaigns_campaignevent",
    ],
)
def test_postgresql_refuses_to_alter_the_history(campaign, sql):
    move(campaign.pk, "pause")

    with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
        cursor.execute(sql)


def test_markup_in_a_text_stays_text(campaign, manager):
    make_coupon(campaign)

    page = save(manager, url_of(campaign), filled(name="<script>x</script>"), "new")
    shown = manager.get(url_of(campaign))
    question = manager.post(url_of(campaign), filled(name="<b>bold</b>"))

    assert page.status_code == 302
    for found in (shown, question):
        assert "<script>x" not in found.content.decode()
        assert "<b>bold" not in found.content.decode()


def test_a_coupon_issued_after_the_change_and_one_before_end_alike(campaign, manager):
    before = make_coupon(campaign, status="redeemed")
    save(manager, url_of(campaign), filled(**LONGER), "all")
    run(EndsChange.objects.get().pk)

    [after] = issue(campaign, [None], source=TEST)  # this campaign was read before
    redeem(after.token, source=TEST)

    assert set(Coupon.objects.values_list("ends_at", flat=True)) == {
        instant("2100-12-31 15:00")
    }
    assert before.pk != after.pk
