"""Finding a serial among many, and its page with its story."""

import html
import json
from datetime import timedelta
from urllib.parse import quote_from_bytes

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from coupons.services import open_coupon, redeem, revoke, verify
from reports.finding import MOST, find, in_order, is_link, statement
from reports.tests.record_helpers import record_url, signed_in, words_of
from serials.models import Batch, Serial
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db

SEARCH = "admin:serials_serial_changelist"
TOKEN = "Zk3yPq9_vLw-4TnXe7RbQ2sA"
TOO_LONG = "That is too long"
UNSEEN = "characters that can't be seen"


@pytest.fixture
def viewer():
    # Without a password: hashing it would take longer than most tests here.
    person = User.objects.create(username="vera", is_staff=True)
    person.groups.add(Group.objects.get(name="Viewer"))
    return signed_in(person)


def codes(text, campaign=None):
    return [row.code for row in find(text, campaign).rows]


def search(client, text, **more):
    return client.post(reverse(SEARCH), {"q": text, **more}, follow=True)


def said(page):
    return html.unescape(words_of(page))


def page_of(client, serial):
    return client.get(reverse("admin:serials_serial_change", args=[serial.pk]))


def person_who_may(*permissions):
    person = User.objects.create(username="pat", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in(person)


# --- what is found -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["AB-12", "ab-12", "aB-12x", "ＡＢ-１", " ab\u200b-12 ", "AB", "ab-12XY"],  # noqa: RUF001
)
def test_a_serial_is_found_by_its_start_or_whole_however_it_is_typed(text):
    make_serials(make_campaign(), ["AB-12xy", "AC-12xy", "XAB-12xy"])

    assert codes(text) == ["AB-12xy"]


def test_no_letter_is_too_far_down_the_alphabet_to_be_found():
    make_serials(make_campaign(), ["S", "S !", "S\N{CJK UNIFIED IDEOGRAPH-20BB7}"])

    assert codes("s") == ["S", "S !", "S\N{CJK UNIFIED IDEOGRAPH-20BB7}"]


@pytest.mark.parametrize("text", ["b-12", "ab-12xyz", "2xy"])
def test_what_only_holds_the_text_or_is_shorter_is_not_found(text):
    make_serials(make_campaign(), ["AB-12xy"])

    assert codes(text) == []


def test_lower_case_finds_capitals_where_both_differ_and_where_they_do_not():
    make_serials(make_campaign(is_case_sensitive=True), ["SUN-1", "sun-2", "Sun-3"])
    make_serials(make_campaign(), ["SUN-4"])

    assert codes("sun") == ["SUN-4", "sun-2", "SUN-1"]
    assert codes("SUN") == ["SUN-4", "SUN-1", "sun-2"]
    assert codes("Sun") == ["SUN-4", "Sun-3", "SUN-1", "sun-2"]


def test_what_a_spreadsheet_guards_is_found_as_it_is_exported():
    make_serials(make_campaign(), ["007", "'A", "=X"])

    assert codes("'007") == ["007"]
    assert codes("'=x") == ["=X"]
    assert codes("'a") == ["'A"]


def test_signs_that_patterns_know_are_characters_like_any_other():
    make_serials(make_campaign(), ["A%B", "A_C", "A\\D", "AXE"])
    make_fixed_batch(make_campaign(), code="A%F")

    assert codes("a%") == ["A%F", "A%B"]
    assert codes("a_") == ["A_C"]
    assert codes("a\\") == ["A\\D"]
    assert codes("%") == []


def test_the_newest_campaign_comes_first_and_one_alone_can_be_chosen():
    older, newer = make_campaign(), make_campaign()
    make_serials(older, ["S-1", "S-3"])
    make_serials(newer, ["S-2", "S-1"])

    assert codes("s-") == ["S-1", "S-2", "S-1", "S-3"]
    assert codes("s-", older) == ["S-1", "S-3"]


def test_fixed_texts_come_in_that_order_before_serials():
    older, newer = make_campaign(), make_campaign()
    for campaign, code in ((older, "S"), (older, "S1"), (newer, "S9")):
        make_fixed_batch(campaign, code=code)

    make_serials(older, ["S9", "S90"])

    assert codes("s") == ["S", "S9", "S1", "S9", "S90"]
    assert codes("s", older) == ["S", "S1", "S9", "S90"]
    assert codes("s90") == ["S90"]
    assert codes("s9") == ["S9", "S9", "S90"]


def test_the_whole_one_comes_before_all_that_begin_so():
    make_serials(make_campaign(), ["S-1"])
    make_fixed_batch(make_campaign(), code="S-1!")
    make_serials(make_campaign(), [f"S-1{n:03d}" for n in range(MOST + 10)])

    found = find("s-1")

    assert found.is_more
    assert [row.code for row in found.rows][:3] == ["S-1", "S-1!", "S-1000"]
    assert len(found.rows) == MOST


@pytest.mark.parametrize(("there", "is_more"), [(MOST, False), (MOST + 1, True)])
def test_more_than_fifty_are_cut_and_that_is_said(viewer, there, is_more):
    make_serials(make_campaign(), [f"S-{n:03d}" for n in range(there)])

    page = search(viewer, "s-")

    assert page.content.decode().count('<th scope="row">') == MOST
    assert ("There are more: type more of it" in said(page)) == is_more


def test_a_fixed_text_leads_to_its_batch(viewer):
    batch = make_fixed_batch(make_campaign(name="Cake"), code="FNA@5841", quantity=100)

    page = search(viewer, "fna@")

    assert (
        reverse("admin:serials_batch_change", args=[batch.pk]) in page.content.decode()
    )
    assert "FNA@5841 the same for everyone Cake" in said(page)
    assert "0 of 100" in said(page)


def test_who_may_not_see_batches_finds_no_fixed_text():
    make_fixed_batch(make_campaign(), code="FNA@5841")
    make_serials(make_campaign(), ["FNA-1"])

    page = search(person_who_may("view_serial"), "fna")

    assert "FNA-1" in said(page)
    assert "FNA@5841" not in said(page)


# --- its state, in the list and on its page --------------------------------------------


def in_state(name):
    """A serial of that state; its words."""
    campaign = make_campaign()
    batch = make_serials(campaign, ["S-1"])
    clerk = make_user("Store staff")
    if name in ("taken", "verified", "burnt"):
        coupon = make_coupon(campaign, status="redeemed")
    if name == "verified":
        verify(coupon.pk, store=make_store(clerk), staff=clerk)
    if name == "burnt":
        revoke(coupon.pk, source=TEST, reason="Slip")
    if name == "void":
        Serial.objects.update(state=Serial.State.VOID)
    if name in Batch.State.values:
        Batch.objects.filter(pk=batch.pk).update(state=name)
    return Serial.objects.get()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("free", "free"),
        ("taken", "taken"),
        ("verified", "verified"),
        ("burnt", "revoked, burnt"),
        ("void", "void"),
        ("importing", "being imported, not yet given out"),
        ("voiding", "being made void"),
        ("cancelled", "being removed"),
    ],
)
def test_each_state_is_said_in_words(viewer, name, words):
    serial = in_state(name)

    listed = said(search(viewer, "s-1"))
    page = said(page_of(viewer, serial))

    assert f"S-1 {words} {serial.campaign} {serial.batch}" in listed
    assert f"S-1 {words} Find another" in page


def test_a_generated_batch_under_way_is_being_made(viewer):
    serial = in_state("importing")
    Batch.objects.update(kind=Batch.Kind.GENERATED, name="SUN-####")

    assert "being made, not yet given out" in said(search(viewer, "s-1"))
    assert "Made with its batch “SUN-####”, number 1" in said(page_of(viewer, serial))


# --- the story -------------------------------------------------------------------------


@pytest.fixture
def used():
    """A serial that a store took, and whose coupon was taken back and revoked."""
    campaign = make_campaign(name="Spring")
    mika = make_user("Editor", first_name="Mika")
    batch = make_serials(campaign, ["S-1"], name="may.csv", created_by=mika)
    Batch.objects.update(ready_at=batch.created_at)
    coupon = make_coupon(campaign, status="redeemed")
    clerk = make_user("Store staff")
    verify(coupon.pk, store=make_store(clerk, name="Clover Street"), staff=clerk)
    return Serial.objects.get()


def test_a_serial_tells_its_story_from_its_file_to_the_till(viewer, used):
    page = page_of(viewer, used)

    days = page.context["story"].days
    kinds = [step.kind for day in days for step in day.steps]
    assert kinds == ["came", "ready", "taken", "opened", "redeemed", "verified"]
    text = said(page)
    assert "Came in with its batch “may.csv”, row 1 Mika" in text
    assert f"Taken by coupon {used.coupon.shown_number}" in text
    assert "Clover Street" in text
    assert page.content.decode().count(f'href="{record_url(used.coupon)}"') == 2


def test_a_coupon_that_was_opened_before_there_were_serials_stands_where_it_was(viewer):
    campaign = make_campaign()
    coupon = make_coupon(campaign, status="sent")
    yesterday = timezone.now() - timedelta(days=1)
    open_coupon(coupon.token, source=TEST, clock=lambda: yesterday)
    make_serials(campaign, ["S-1"])
    redeem(coupon.token, source=TEST)

    days = page_of(viewer, Serial.objects.get()).context["story"].days

    assert [[step.kind for step in day.steps] for day in days] == [
        ["opened"],
        ["came", "taken", "redeemed"],
    ]


def test_what_befell_the_coupon_before_it_had_a_serial_is_left_to_its_record(
    viewer, used
):
    assert "Issued" not in said(page_of(viewer, used))
    assert "Sent" not in said(page_of(viewer, used))


def test_who_may_not_see_coupons_gets_the_serial_without_them(used):
    client = person_who_may("view_serial")

    listed, page = search(client, "s-1"), page_of(client, used)

    for shown in (listed, page):
        text = said(shown)
        assert "S-1 taken" in text
        for hidden in ("verified", "Clover Street", used.coupon.shown_number):
            assert hidden not in text
        assert "redemptionrecord" not in shown.content.decode()
    assert "Taken by a coupon" in said(page)


def test_no_page_shows_the_coupons_token(viewer, used):
    for page in (search(viewer, "s-1"), page_of(viewer, used)):
        assert used.coupon.token not in page.content.decode()


# --- who may -----------------------------------------------------------------------------


def test_who_may_not_see_serials_is_kept_out(used):
    client = person_who_may("view_batch", "view_coupon")

    assert client.get(reverse(SEARCH), {"q": "s"}).status_code == 403
    assert client.post(reverse(SEARCH), {"q": "s"}).status_code == 403
    assert page_of(client, used).status_code == 403
    assert "Find a serial" not in said(client.get(reverse("admin:index")))


def test_the_side_bar_leads_there(viewer):
    page = viewer.get(reverse("admin:index"))

    assert f'href="{reverse(SEARCH)}"' in page.content.decode()


@pytest.mark.parametrize("number", [0, 999_999, 10**30, "x"])
def test_a_serial_that_is_not_there_is_no_error(viewer, number):
    answer = viewer.get(f"/admin/serials/serial/{number}/change/")

    assert answer.status_code in (302, 404)


# --- what people type ----------------------------------------------------------------


def test_before_anything_is_typed_nothing_is_looked_up_or_complained_of(viewer):
    make_serials(make_campaign(), ["S-1"])

    with CaptureQueriesContext(connection) as asked:
        page = viewer.get(reverse(SEARCH))

    assert page.status_code == 200
    assert not any("serials_serial" in query["sql"] for query in asked)
    assert 'role="alert"' not in page.content.decode()
    assert "begin" not in said(page).partition("Find")[2]


def test_what_is_typed_leads_to_an_address_that_can_be_kept(viewer):
    campaign = make_campaign()
    make_serials(campaign, ["S&1 é"])

    sent = viewer.post(reverse(SEARCH), {"q": " Ｓ&1 ", "campaign": campaign.pk})  # noqa: RUF001

    assert sent.url == f"{reverse(SEARCH)}?q=S%261&campaign={campaign.pk}"
    page = viewer.get(sent.url).content.decode()
    assert "S&amp;1 é" in page
    assert f'<option value="{campaign.pk}" selected>' in page


def links():
    whole = f"http://testserver/c/{TOKEN}"
    return {
        "whole": whole,
        "path": f"/c/{TOKEN}",
        "in a message": f"Your coupon: {whole}?lang=ja enjoy",
        "cut": whole[:-6],
        "quoted": f"https://example.com/?to=%2Fc%2F{TOKEN}",
        "wide": f"／ｃ／{TOKEN}",  # noqa: RUF001
        "hidden marks": f"/c\u200b/{TOKEN}",
        "far in": "x" * 990 + f"/c/{TOKEN}",
        "capitals": f"HTTP://TESTSERVER/C/{TOKEN}",
    }


@pytest.mark.parametrize("form", list(links()))
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_coupons_link_is_never_shown_again(viewer, form, method):
    answer = getattr(viewer, method)(reverse(SEARCH), {"q": links()[form]})

    assert answer.status_code == 400
    text = answer.content.decode()
    assert TOKEN[:10] not in text
    assert reverse("admin:reports_redemptionrecord_changelist") in text


def test_a_pasted_link_is_answered_with_what_to_do(viewer):
    page = search(viewer, links()["whole"])

    assert "That is a coupon's link" in said(page)


@pytest.mark.parametrize("text", ["https://shop.example/c/1", "/c/SUMMER", "A/C/B"])
def test_a_serial_that_only_resembles_a_link_is_looked_up(text):
    assert not is_link(text)


@pytest.mark.parametrize("text", ["ABCD-EFGH-JKMN", "abcdefghjkmn", "ＡBCD EFGH JKMN"])  # noqa: RUF001
def test_a_coupons_number_is_shown_the_way_to_the_records(viewer, text):
    page = search(viewer, text)

    assert page.status_code == 200
    assert "That looks like a coupon's number" in said(page)
    assert f"{reverse('admin:reports_redemptionrecord_changelist')}?q=" in (
        page.content.decode()
    )


def test_a_serial_that_looks_like_a_number_is_just_found(viewer):
    make_serials(make_campaign(), ["ABCD-EFGH-JKMN"])

    page = search(viewer, "abcd-efgh-jkmn")

    assert "looks like" not in said(page)
    assert page.context["lines"][0].code == "ABCD-EFGH-JKMN"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Type the beginning of a serial"),
        (" \u3000\u200b\t\n", "Type the beginning of a serial"),
        ("x" * 10_000, TOO_LONG),
        ("x" * 65, TOO_LONG),
        ("㍿" * 17, TOO_LONG),
        ("\ufdfa" * 10_000, TOO_LONG),
        ("AB\x00C", UNSEEN),
        ("AB\tC", UNSEEN),
        ("AB\u202eC", UNSEEN),
        ("AB\udc80C", UNSEEN),
        ("AB\U0010ffff", UNSEEN),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_what_no_serial_can_be_is_answered_in_words(viewer, text, words):
    body = f"q={quote_from_bytes(text.encode('utf-8', 'surrogatepass'))}"

    page = viewer.post(
        reverse(SEARCH), body, content_type="application/x-www-form-urlencoded"
    )

    assert page.status_code == 400
    assert words in said(page)


@pytest.mark.parametrize("text", ["x" * 64, "ß" * 64, "ŉ" * 30, "é́" * 20], ids=ascii)
def test_what_grows_or_shrinks_as_it_is_compared_is_no_error(viewer, text):
    assert search(viewer, text).status_code == 200


@pytest.mark.parametrize("chosen", ["0", "x", "9" * 40, "-1", "1 OR 1=1"])
def test_a_campaign_that_is_not_there_is_answered_in_words(viewer, chosen):
    page = search(viewer, "s", campaign=chosen)

    assert page.status_code == 400
    assert "That campaign is gone" in said(page)


def test_what_is_refused_stays_in_the_field(viewer):
    page = search(viewer, "<b>x" * 20)

    assert "&lt;b&gt;x" * 20 in page.content.decode()
    assert "<b>x" not in page.content.decode()


def test_what_is_not_found_says_what_else_to_try(viewer):
    campaign = make_campaign(name="Spring", is_case_sensitive=True)

    text = said(search(viewer, "zz", campaign=campaign.pk))

    assert "No serial of “Spring” begins with “zz”" in text
    assert "Look in all campaigns" in text
    assert "capital and small letters differ" in text


# --- how much it reads ---------------------------------------------------------------


def test_many_campaigns_take_no_more_queries_and_nothing_is_counted(viewer):
    make_serials(make_campaign(), ["S-1"])
    with CaptureQueriesContext(connection) as few:
        search(viewer, "s")
    for _ in range(30):
        make_serials(make_campaign(), ["S-1", "S-2"])
    with CaptureQueriesContext(connection) as many:
        search(viewer, "s")

    assert len(many) == len(few)
    assert not any("COUNT(" in query["sql"].upper() for query in many)


ROWS = """
    INSERT INTO serials_serial (campaign_id, batch_id, pos, code, code_key, state)
    SELECT b.campaign_id, b.id, n, 'S' || n, 's' || n, 0
    FROM serials_batch b, generate_series(1, %s) n
"""


@pytest.mark.postgres
def test_few_rows_are_read_by_the_unique_index_whatever_is_typed():
    campaigns = [make_campaign() for _ in range(40)]
    for campaign in campaigns:
        make_serials(campaign, 0)
    with connection.cursor() as cursor:
        cursor.execute(ROWS, [2_500])

    before = list(wrong_scans(None, campaigns[3]))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    after = list(wrong_scans(None, campaigns[3]))

    assert before == []  # as right after an import, when the planner knows nothing
    assert after == []


def wrong_scans(*chosen):
    """Searches that read serials otherwise than few by the unique index."""
    for campaign in chosen:
        for text in ("s", "s2499", "nothing", "s2", "%"):
            scans = list(scans_of_serials(text, campaign))
            kinds = {scan["Node Type"] for scan in scans}
            names = {scan.get("Index Name") for scan in scans}
            read = sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in scans)
            # One campaign may be entered that was not needed.
            is_few = read <= 2 * (MOST + 1) + 2
            if not (
                kinds <= INDEXED and names == {"serial_once_in_campaign"} and is_few
            ):
                yield text, kinds, names, read


INDEXED = {"Index Scan", "Index Only Scan"}


def scans_of_serials(text, campaign):
    """The plan's nodes that read serials, as it ran."""
    sql, values = statement(text, campaign)
    with in_order() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
        [[plan]] = cursor.fetchall()
    waiting = [(plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if node.get("Relation Name") == "serials_serial":
            yield node
