"""What is left of campaigns and batches, as staff see it and are warned of it."""

import html
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from coupons.errors import CouponError
from coupons.limiting import set_total_limit
from coupons.services import redeem, revoke, scan, undo, verify
from reports import low_stock, telling
from reports.forms import CampaignOverviewForm
from reports.ledger import find_breaks
from reports.numbers import BatchStock, numbers_for, stock_of
from reports.tasks import sweep, warn_of_low_stock
from serials import importing, services
from serials.models import Batch, Serial, StockWatch
from serials.services import set_stock_warning
from serials.tests.files import checked, imported
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)
from testing.saving import filled, save

pytestmark = pytest.mark.django_db
NOW = timezone.now()
GONE = "That batch is gone: a colleague has deleted it."


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


@pytest.fixture
def clerk():
    return make_user("Store staff")


def redeemed(campaign, count=1):
    return [make_coupon(campaign, status="redeemed") for _ in range(count)]


def void(batch):
    services.void(batch)
    importing.run(batch.pk)
    batch.refresh_from_db()


def stock(batch):
    """Free, taken, verified and void."""
    found = stock_of(Batch.objects.select_related("stock").get(pk=batch.pk))
    return found.free, found.taken, found.verified, found.void


def left(campaign):
    numbers = numbers_for(campaign)
    return numbers.left, numbers.stock


def text_of(response):
    """The page's words, a blank between them, without its tags."""
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", response.content.decode())
    return " ".join(html.unescape(text).split())


def batch_page(name, *args):
    return reverse(f"admin:serials_batch_{name}", args=args)


def campaign_page(client, campaign):
    return client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))


# --- numbers --------------------------------------------------------------------------


def test_a_batch_knows_what_became_of_its_serials(clerk):
    campaign = make_campaign()
    batch = make_serials(campaign, 10)
    first, *_ = redeemed(campaign, 3)
    verify(first.pk, store=make_store(clerk), staff=clerk)

    assert stock(batch) == (7, 3, 1, 0)

    services.void(batch)
    assert stock(batch) == (0, 3, 1, 7)
    importing.run(batch.pk)
    assert stock(batch) == (0, 3, 1, 7)


def test_a_fixed_batch_knows_what_became_of_its_units(clerk):
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, quantity=10)
    first, *_ = redeemed(campaign, 3)
    verify(first.pk, store=make_store(clerk), staff=clerk)

    assert stock(batch) == (7, 3, 1, 0)

    void(batch)
    assert stock(batch) == (0, 3, 1, 7)
    assert stock_of(batch).total == 10
    assert find_breaks(now=NOW) == []


def test_a_batch_without_a_limit_counts_what_is_taken():
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, quantity=None)
    redeemed(campaign, 2)

    found = stock_of(batch)

    assert found == BatchStock(total=None, taken=2)
    assert found.has_more
    void(batch)
    assert not stock_of(batch).has_more


def test_while_serials_are_made_void_none_of_them_is_free(settings):
    settings.IMPORT_BLOCK = 2
    campaign = make_campaign()
    batch = make_serials(campaign, 6)
    redeemed(campaign)

    services.void(batch)
    importing.run(batch.pk, seconds=0)

    assert batch.state == Batch.State.VOIDING
    assert stock(batch) == (0, 1, 0, 5)
    assert left(campaign) == (0, 1)


def test_taken_by_the_tallies_is_taken_by_the_rows_whatever_is_done(clerk):
    campaign = make_campaign()
    batch = make_serials(campaign, 9)
    store = make_store(clerk)
    coupons = redeemed(campaign, 5)

    revoke(coupons[0].pk, source=TEST, reason="lost phone")
    verification = verify(coupons[1].pk, store=store, staff=clerk)
    undo(verification.pk, by=clerk, reason="slip", is_manager=False)
    verify(coupons[2].pk, store=store, staff=clerk)

    rows = Serial.objects.filter(batch=batch, state=Serial.State.TAKEN).count()
    # The revoked one's serial stays taken: it has been seen.
    assert stock(batch) == (9 - rows, rows, 1, 0) == (4, 5, 1, 0)


def test_what_is_left_and_what_is_redeemed_are_all_that_was_to_be_had():
    campaign = make_campaign()
    gone, fixed = make_serials(campaign, 10), make_fixed_batch(campaign, quantity=10)
    redeemed(campaign, 4)
    void(gone)
    redeemed(campaign, 3)
    assert left(campaign) == (7, 14)
    void(fixed)
    assert left(campaign) == (0, 7)
    make_serials(campaign, 5)
    checked("s\nA\nB\n", campaign)

    assert left(campaign) == (5, 12)


@pytest.mark.parametrize(
    ("quota", "free", "is_lower"),
    [(None, 8, False), (4, 2, True), (10, 8, False), (11, 8, False)],
)
def test_free_is_what_stock_and_the_limit_in_total_both_leave(quota, free, is_lower):
    campaign = make_campaign()
    make_serials(campaign, 10)
    redeemed(campaign, 2)
    set_total_limit(campaign, quota)

    numbers = numbers_for(campaign)

    assert (numbers.free, numbers.is_limit_lower) == (free, is_lower)
    make_fixed_batch(campaign, quantity=None)
    unlimited = numbers_for(campaign)
    assert unlimited.free == (quota - 2 if quota else None)


# --- pages ----------------------------------------------------------------------------


def test_the_lists_take_as_many_queries_for_many_as_for_few(editor):
    def add():
        campaign = make_campaign()
        make_serials(campaign, 2)
        make_fixed_batch(campaign, quantity=5, position=1)
        redeemed(campaign, 3)
        void(make_serials(campaign, 2))
        set_total_limit(campaign, 50)
        set_stock_warning(campaign, 3)
        return campaign

    def queries(campaign):
        counts = []
        for url in (
            batch_page("changelist"),
            reverse("admin:campaigns_campaign_changelist"),
            reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
        ):
            with CaptureQueriesContext(connection) as asked:
                assert editor.get(url).status_code == 200
            counts.append(len(asked))
        return counts

    first = add()
    queries(first)  # what is kept between requests
    few = queries(first)
    for _ in range(3):
        add()
        make_serials(first, 3)

    assert queries(first) == few


def test_the_batch_list_shows_stock_in_words(editor):
    campaign = make_campaign()
    make_serials(campaign, 3)
    make_fixed_batch(campaign, code="FNA@5841", quantity=5_000, position=1)
    make_fixed_batch(campaign, code="FREE", quantity=None, position=2)
    redeemed(campaign, 4)

    shown = text_of(editor.get(batch_page("changelist")))

    for words in (
        "0 of 3 free",
        "FNA@5841 4,999 of 5,000 free",
        "FREE no limit, 0 taken",
    ):
        assert words in shown


def test_the_campaign_lists_its_batches_as_they_are_given_out(editor):
    campaign = make_campaign()
    make_fixed_batch(campaign, quantity=1, name="Later", position=5)
    make_serials(campaign, 1, name="Used up", position=1)
    make_serials(campaign, 3, name="Now", position=2)
    void(make_serials(campaign, 4, name="Unwanted"))
    make_serials(make_campaign(), 1, name="Elsewhere")
    redeemed(campaign, 2)

    page = campaign_page(editor, campaign)

    lines = page.context["lines"]
    shown = [(line.batch.name, line.is_next) for line in lines]
    assert shown == [
        ("Now", True),
        ("Later", False),
        ("Used up", False),
        ("Unwanted", False),
    ]
    assert [line.may_go_first for line in lines] == [False, True, False, False]
    words = text_of(page)
    assert "Now ready given out next 2 of 3 free" in words
    assert "Unwanted void 0 of 4 free" in words
    assert "Stock left 3 of 5" in words
    assert "All batches" not in words


def test_a_campaign_with_very_many_batches_shows_the_first_and_a_way_to_all(editor):
    campaign = make_campaign()
    for _ in range(21):
        make_fixed_batch(campaign)

    page = campaign_page(editor, campaign)
    link = batch_page("changelist") + f"?campaign__id__exact={campaign.pk}"

    assert len(page.context["lines"] + page.context["more_lines"]) == 20
    assert "12 more batches" in text_of(page)
    assert link in page.content.decode()
    assert "21 batches" in text_of(editor.get(link))


def test_the_campaign_says_when_the_limit_leaves_less_than_the_stock(editor):
    campaign = make_campaign()
    make_serials(campaign, 3_000)
    set_total_limit(campaign, 1_200)

    shown = text_of(campaign_page(editor, campaign))

    assert "3,000 of 3,000 limit: 1,200 left" in shown


def test_the_campaign_says_that_it_is_low(editor):
    campaign = make_campaign()
    make_serials(campaign, 10)
    set_stock_warning(campaign, 10)
    assert "Low: fewer than" not in text_of(campaign_page(editor, campaign))

    redeemed(campaign)

    shown = text_of(campaign_page(editor, campaign))
    assert "9 of 10 Low: fewer than 10" in shown
    assert "Managers get a mail when fewer than 10 are left." in shown


def test_the_page_of_a_batch_shows_what_became_of_it(editor):
    campaign = make_campaign()
    batch = make_serials(campaign, 1_234)
    redeemed(campaign, 2)

    shown = text_of(editor.get(batch_page("change", batch.pk)))
    services.void(batch)
    voiding = text_of(editor.get(batch_page("change", batch.pk)))

    assert "1,232 of 1,234 free Taken 2 Verified 0 Void 0" in shown
    assert "Make the rest void" in shown
    assert "0 of 1,234 free Taken 2 Verified 0 Void 1,232" in voiding
    assert "is being made void" in voiding
    assert "Make the rest void" not in voiding


def test_the_import_of_a_void_batch_is_shown_on_its_own_page(editor):
    batch = imported("s\nA\nA\n")
    void(batch)

    page = editor.get(batch_page("progress", batch.pk), follow=True)

    assert page.redirect_chain == [(batch_page("change", batch.pk), 302)]
    assert batch_page("refused", batch.pk) in page.content.decode()


def test_a_batch_that_is_not_whole_shows_the_way_to_its_import(editor):
    batch = checked("s\nA\n")

    page = editor.get(batch_page("change", batch.pk))

    assert "Nothing of this batch can be given out" in text_of(page)
    assert batch_page("progress", batch.pk) in page.content.decode()


# --- making void ----------------------------------------------------------------------


def test_an_editor_makes_the_rest_void_after_a_look_at_what_it_means(editor):
    campaign = make_campaign()
    batch = make_serials(campaign, 1_500)
    redeemed(campaign, 2)

    asked = text_of(editor.get(batch_page("void", batch.pk)))
    batch.refresh_from_db()
    was = batch.state
    answer = editor.post(batch_page("void", batch.pk), follow=True)

    assert "1,498 serials are free now" in asked
    assert "What 2 customers have already stays valid" in asked
    assert "can't be undone" in asked
    assert "Nothing else is left in this campaign" in asked
    assert was == Batch.State.READY
    assert answer.redirect_chain == [(batch_page("change", batch.pk), 302)]
    assert "Nobody gets one of these serials any more" in text_of(answer)
    assert stock(batch) == (0, 2, 0, 1_498)
    history = editor.get(batch_page("history", batch.pk))
    assert "Made the rest void" in text_of(history)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (5, "4 more customers can redeem this text now. After this nobody can"),
        (2, "1 more customer can redeem this text now. After this nobody can"),
        (None, "Everyone with a coupon can redeem this text now. After this nobody"),
    ],
)
def test_making_a_fixed_text_void_says_that_nobody_can_redeem_it(
    editor, quantity, words
):
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, code="FNA@5841", quantity=quantity)
    redeemed(campaign)

    asked = text_of(editor.get(batch_page("void", batch.pk)))
    answer = editor.post(batch_page("void", batch.pk), follow=True)

    assert words in asked
    assert "Nobody can redeem “FNA@5841” any more" in text_of(answer)
    batch.refresh_from_db()
    assert batch.state == Batch.State.VOID


def test_the_page_to_confirm_says_when_other_batches_go_on(editor):
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, quantity=None)
    other = make_serials(campaign, 3)

    for one in (batch, other):
        shown = text_of(editor.get(batch_page("void", one.pk)))
        assert "get what the campaign's other batches have" in shown
    void(other)

    assert editor.get(batch_page("void", batch.pk)).context["is_last"]


def test_viewers_and_strangers_make_nothing_void(client):
    batch = make_serials(make_campaign(), 3)
    url = batch_page("void", batch.pk)

    assert client.post(url).status_code == 302
    client.force_login(make_user("Viewer"))
    for answer in (client.get(url), client.post(url)):
        assert answer.status_code == 403
    for name in ("void", "first"):
        assert client.post(batch_page(name, batch.pk)).status_code == 403
    shown = text_of(client.get(batch_page("change", batch.pk)))

    assert "3 of 3 free" in shown
    assert "Make the rest void" not in shown
    batch.refresh_from_db()
    assert batch.state == Batch.State.READY


def test_what_is_not_ready_is_not_made_void_and_says_so(editor):
    batch = checked("s\nA\n")

    for answer in (
        editor.get(batch_page("void", batch.pk), follow=True),
        editor.post(batch_page("void", batch.pk), follow=True),
    ):
        assert answer.status_code == 200
        assert "ready" in text_of(answer)
    batch.refresh_from_db()
    assert batch.state == Batch.State.CHECKED


def test_of_a_batch_that_is_used_up_nothing_is_offered_to_be_made_void(editor):
    campaign = make_campaign()
    batch = make_serials(campaign, 1)
    redeemed(campaign)

    shown = text_of(editor.get(batch_page("void", batch.pk), follow=True))

    assert "Nothing is left of this batch" in shown
    assert "Make the rest void" not in shown


def test_pressing_twice_makes_it_void_once(editor):
    batch = make_serials(make_campaign(), 3)
    for _ in range(2):
        answer = editor.post(batch_page("void", batch.pk), follow=True)
        importing.run(batch.pk)
        assert "Nobody gets one of these" in text_of(answer)

    again = text_of(editor.get(batch_page("void", batch.pk), follow=True))

    assert "void already" in again
    assert stock(batch) == (0, 0, 0, 3)


@pytest.mark.parametrize("name", ["void", "first"])
def test_pressing_a_button_of_a_deleted_batch_tells_so(editor, name):
    answer = editor.post(batch_page(name, 999), follow=True)

    assert answer.redirect_chain == [(batch_page("changelist"), 302)]
    assert GONE in text_of(answer)


def test_the_press_wants_its_token_and_a_method_that_is_meant(editor):
    batch = make_serials(make_campaign(), 3)
    editor.handler.enforce_csrf_checks = True

    assert editor.post(batch_page("void", batch.pk)).status_code == 403
    editor.handler.enforce_csrf_checks = False
    assert editor.put(batch_page("void", batch.pk)).status_code == 405
    assert editor.get(batch_page("first", batch.pk)).status_code == 405

    batch.refresh_from_db()
    assert batch.state == Batch.State.READY


# --- after it was made void -----------------------------------------------------------


def test_a_serial_of_a_void_batch_is_still_taken_at_the_till(clerk):
    campaign = make_campaign()
    batch = make_serials(campaign, ["AAA-1", "AAA-2"])
    [coupon] = redeemed(campaign)
    void(batch)

    answer = scan("aaa-1", store=make_store(clerk), staff=clerk, nonce=uuid4())

    assert answer.reason == "ok"
    coupon.refresh_from_db()
    assert coupon.status == "verified"
    assert stock(batch) == (0, 1, 1, 1)
    assert find_breaks(now=NOW) == []


def test_a_fixed_text_of_a_void_batch_is_still_taken_at_the_till(clerk):
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, code="FNA@5841", quantity=None)
    [coupon] = redeemed(campaign)
    void(batch)

    answer = scan("fna@5841", store=make_store(clerk), staff=clerk, nonce=uuid4())

    assert answer.reason == "ok"
    coupon.refresh_from_db()
    assert coupon.status == "verified"
    assert find_breaks(now=NOW) == []


def test_a_free_serial_that_was_made_void_is_unknown_at_the_till(clerk):
    void(make_serials(make_campaign(), ["AAA-1"]))

    answer = scan("AAA-1", store=make_store(clerk), staff=clerk, nonce=uuid4())

    assert answer.reason == "invalid"


def test_after_the_last_batch_is_void_customers_read_that_all_are_given_out(client):
    campaign = make_campaign()
    batch = make_serials(campaign, 3)
    before = make_coupon(campaign, status="redeemed")
    coupon = make_coupon(campaign, status="sent")
    void(batch)

    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST)

    assert refusal.value.code == "out_of_stock"
    page = client.get(f"/c/{coupon.token}")
    assert "All coupons have been given out" in text_of(page)
    # The repeat of a lost answer still shows what the customer has.
    assert redeem(before.token, source=TEST).serial == before.serial


def test_a_barcode_has_to_draw_what_was_taken_before_the_rest_was_made_void():
    campaign = make_campaign(barcode="qr")
    void(make_serials(campaign, ["never given"]))

    def choose(kind):
        form = CampaignOverviewForm(instance=campaign)
        form.cleaned_data = {"barcode": kind}
        return form.clean_barcode()

    assert choose("code39") == "code39"
    taken = make_serials(campaign, ["given", "free"])
    redeemed(campaign)
    void(taken)
    with pytest.raises(ValidationError):
        choose("code39")


# --- the order, and more serials ------------------------------------------------------


def test_a_batch_is_put_first_with_one_press(editor):
    campaign = make_campaign()
    make_serials(campaign, 1, name="Old")
    new = make_serials(campaign, 1, name="New")
    page = campaign_page(editor, campaign)
    assert [line.may_go_first for line in page.context["lines"]] == [False, True]

    answer = editor.post(batch_page("first", new.pk), follow=True)

    assert "“New” is the first to be given out now." in text_of(answer)
    [coupon] = redeemed(campaign)
    assert coupon.batch == new


def test_serials_added_to_a_running_campaign_follow_when_the_first_are_used_up():
    campaign = make_campaign(barcode="none")
    first = make_serials(campaign, 2)
    before = redeemed(campaign)
    added = imported("s\nLATER-1\nLATER-2\n", campaign)

    after = redeemed(campaign, 3)

    batches = [coupon.batch for coupon in before + after]
    assert batches == [first, first, added, added]
    with pytest.raises(CouponError, match="out_of_stock"):
        redeemed(campaign)


# --- deleting -------------------------------------------------------------------------


def test_a_batch_that_may_have_given_something_out_says_why_it_stays(editor):
    batch = make_serials(make_campaign(), 3)
    delete = batch_page("delete", batch.pk)

    shown = editor.get(batch_page("change", batch.pk))
    answer = editor.get(delete, follow=True)

    words = "It can't be deleted: serials of it may have been given out."
    assert words in text_of(shown)
    assert delete not in shown.content.decode()
    assert answer.redirect_chain == [(batch_page("change", batch.pk), 302)]
    assert words in text_of(answer)


@pytest.mark.parametrize("state", ["checked", "being removed", "cancelled"])
def test_an_import_can_be_deleted_once_it_is_cancelled(editor, state):
    batch = checked("s\nA\n")
    if state != "checked":
        services.cancel(batch)
    if state == "being removed":
        Batch.objects.filter(pk=batch.pk).update(done_to=1)
    words = {"checked": "once it is cancelled", "being removed": "still being removed"}

    page = editor.get(batch_page("change", batch.pk))
    answer = editor.post(batch_page("delete", batch.pk), {"post": "yes"}, follow=True)

    if state == "cancelled":
        assert batch_page("delete", batch.pk) in page.content.decode()
        assert not Batch.objects.exists()
    else:
        assert words[state] in text_of(page)
        assert words[state] in text_of(answer)
        assert Batch.objects.exists()


# --- the warning ----------------------------------------------------------------------


def watched(below=5, serials=10, **fields):
    campaign = make_campaign(**fields)
    if serials:
        make_serials(campaign, serials)
    set_stock_warning(campaign, below)
    return campaign


def look(at=NOW):
    """What a sweep does, and the worker that it wakes."""
    for campaign_id in low_stock.due(at):
        low_stock.warn(campaign_id, at)


def test_managers_are_mailed_once_when_fewer_are_left(settings):
    settings.SITE_URL = "https://shop.example"
    make_user("Manager", email="mika@example.com")
    make_user("Manager", email="gone@example.com", is_active=False)
    make_user("Manager")
    make_user("Editor", email="editor@example.com")
    make_user(is_superuser=True, email="root@example.com")
    campaign = watched(below=8, name="Spring\ncards")
    redeemed(campaign, 2)
    look()
    assert not mail.outbox

    redeemed(campaign)
    look()
    assert low_stock.due(NOW + timedelta(hours=1)) == []
    look(NOW + timedelta(hours=1))

    [message] = mail.outbox
    assert message.to == ["mika@example.com"]
    assert message.subject == "Only 7 left: Spring cards"
    assert "has 7 of 10 serials left" in message.body
    upload = reverse("admin:serials_batch_upload")
    assert f"https://shop.example{upload}?campaign={campaign.pk}\n" in message.body
    assert StockWatch.objects.get().told_at == NOW


def test_the_sweep_wakes_a_worker_for_what_is_low():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=11)

    sweep()
    assert not mail.outbox
    warn_of_low_stock(campaign.pk)
    warn_of_low_stock(campaign.pk)

    assert len(mail.outbox) == 1


def test_when_the_limit_in_total_ends_it_first_the_mail_says_so():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=5, serials=100)
    redeemed(campaign, 2)
    set_total_limit(campaign, 6)

    look()

    [message] = mail.outbox
    assert message.subject.startswith("Only 4 left")
    assert "may be redeemed 6 times in total. 4 of them are left" in message.body
    assert "Raise the limit" in message.body


def test_of_a_campaign_with_nothing_left_the_subject_says_so():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=2, serials=1)
    look()
    mail.outbox.clear()
    StockWatch.objects.update(told_at=None)
    redeemed(campaign)

    look()

    assert mail.outbox[0].subject == f"None left: {campaign.name}"


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "draft"},
        {"state": "paused"},
        {"state": "ended"},
        {"use_ends_at": NOW},
        {"serials": 0},
    ],
)
def test_nobody_is_told_of_what_nobody_can_redeem_or_what_never_had_serials(fields):
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=50, **fields)
    checked("s\nA\n", campaign if campaign.state != "ended" else None)

    look()

    assert not mail.outbox


def test_what_has_no_end_is_never_low():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=50)
    make_fixed_batch(campaign, quantity=None)

    look()

    assert not mail.outbox


def test_told_again_only_after_it_was_filled_up_in_between():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=10, serials=10)
    redeemed(campaign)
    look()
    redeemed(campaign)
    look(NOW + timedelta(days=1))
    assert len(mail.outbox) == 1

    more = make_serials(campaign, 2)
    look(NOW + timedelta(days=2))
    assert StockWatch.objects.get().told_at is None
    void(more)
    look(NOW + timedelta(days=3))

    assert len(mail.outbox) == 2


def test_another_threshold_is_told_of_anew():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=20)
    look()

    set_stock_warning(campaign, 20)
    look()
    same = len(mail.outbox)
    set_stock_warning(campaign, 15)
    look()

    assert (same, len(mail.outbox)) == (1, 2)


def test_two_workers_tell_it_once():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=20)
    StockWatch.objects.update(telling_until=NOW + timedelta(seconds=1))

    assert low_stock.due(NOW) == []
    low_stock.warn(campaign.pk, NOW)
    assert not mail.outbox

    # The other one died: it is told after its lease.
    look(NOW + timedelta(seconds=1))
    assert len(mail.outbox) == 1


def test_what_could_not_be_mailed_is_mailed_once_the_lease_is_over(settings, caplog):
    make_user("Manager", email="mika@example.com")
    watched(below=20)
    was = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    look()
    settings.EMAIL_BACKEND = was
    assert "stock.not_mailed" in caplog.messages

    look(NOW + telling.LEASE - timedelta(seconds=1))
    too_soon = len(mail.outbox)
    look(NOW + telling.LEASE)

    assert (too_soon, len(mail.outbox)) == (0, 1)


def test_without_managers_the_superusers_are_told():
    make_user(is_superuser=True, email="root@example.com")
    watched(below=20)

    look()

    assert [message.to for message in mail.outbox] == [["root@example.com"]]


def test_with_nobody_to_tell_the_log_says_so_once(caplog):
    watched(below=20)

    look()
    look(NOW + timedelta(days=1))

    assert caplog.messages.count("stock.nobody_to_mail") == 1


def test_what_was_filled_up_while_the_worker_was_on_its_way_is_not_told():
    make_user("Manager", email="mika@example.com")
    campaign = watched(below=20)
    assert low_stock.due(NOW) == [campaign.pk]
    make_serials(campaign, 10)

    low_stock.warn(campaign.pk, NOW)

    assert not mail.outbox
    assert StockWatch.objects.get().telling_until is None


def test_a_sweep_asks_little_however_many_are_watched():
    def queries():
        with CaptureQueriesContext(connection) as asked:
            low_stock.due(NOW)
        return len(asked)

    none = queries()
    watched(below=2)
    one = queries()
    for _ in range(5):
        watched(below=2)

    assert none == 1
    assert queries() == one == 4


# --- setting it -----------------------------------------------------------------------


def save_campaign(client, campaign, **changes):
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    return save(client, url, filled(**changes))


def test_the_threshold_is_set_changed_and_taken_away_on_the_campaigns_page(editor):
    campaign = make_campaign()
    make_serials(campaign, 10)

    assert save_campaign(editor, campaign, stock_warning="8").status_code == 302
    watch = StockWatch.objects.get(campaign=campaign)
    assert watch.warn_below == 8
    StockWatch.objects.update(told_at=NOW)
    save_campaign(editor, campaign, stock_warning="8", name="Renamed")
    watch.refresh_from_db()
    assert (watch.warn_below, watch.told_at) == (8, NOW)
    form = campaign_page(editor, campaign).context["adminform"].form
    assert form["stock_warning"].value() == 8

    assert save_campaign(editor, campaign, stock_warning="").status_code == 302
    assert not StockWatch.objects.exists()


@pytest.mark.parametrize("value", ["0", "1.5", "9" * 30])
def test_a_wrong_threshold_is_refused_at_its_field(editor, value):
    campaign = make_campaign()

    answer = save_campaign(editor, campaign, stock_warning=value)

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["stock_warning"]
    assert not StockWatch.objects.exists()
