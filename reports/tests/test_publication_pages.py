"""A publication's own page: each code, the buttons, and the pages that ask first."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reports import remote_codes
from reports.remote_codes import A_PAGE, Cursor, page_of
from reports.tests.provider_helpers import (
    Shop,
    make_fixed_batch,
    said,
    text_of,
    url_of,
)
from sync.models import Publication, RemoteCoupon, Step, Use
from testing.factories import (
    instant,
    make_difference,
    make_publication,
    make_remote_coupon,
    make_serials,
)

pytestmark = pytest.mark.django_db

State, Status = Publication.State, RemoteCoupon.Status


@pytest.fixture
def shop():
    return Shop()


def codes(shop, publication, role="Viewer", **query):
    return shop.client(role).get(
        url_of("sync_publication_change", publication.pk), query
    )


def shown(response):
    return [line["code"] for line in response.context["rows"]]


def press(shop, publication, button, role="Editor", **fields):
    address = url_of(f"sync_publication_{button}", publication.pk)
    return shop.client(role).post(address, fields, follow=True)


# --- each code --------------------------------------------------------------------------


def test_what_needs_somebody_stands_first(shop):
    publication = shop.at_paddle("live", "refused", "unknown")

    response = codes(shop, publication)

    assert shown(response) == ["LATTE003", "LATTE002", "LATTE001"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("live", "LATTE001"), ("refused", "LATTE002"), ("unknown", "LATTE003")],
)
def test_a_status_can_be_chosen(shop, status, code):
    publication = shop.at_paddle("live", "refused", "unknown")

    response = codes(shop, publication, status=status)

    assert shown(response) == [code]
    assert {f[0]: f[2] for f in response.context["filters"]}[status] == 1


def refused_change(shop, **fields):
    """Three that are there: the second couldn't be changed."""
    publication = shop.at_paddle("live", "live", "refused", **fields)
    row = RemoteCoupon.objects.get(serial__code="LATTE002")
    RemoteCoupon.objects.filter(pk=row.pk).update(detail="Paddle: no (107).")
    RemoteCoupon.objects.filter(status="refused").update(detail="Paddle: no (132).")
    return publication, row


@pytest.mark.parametrize("state", [State.OPEN, State.CLOSING])
def test_those_whose_last_change_was_refused_can_be_chosen(shop, state):
    publication, _row = refused_change(shop, state=state)

    response = codes(shop, publication, status="change-refused")

    assert shown(response) == ["LATTE002"]
    assert "Change refused" in text_of(response)
    assert "These are there as they were before" in text_of(response)


def test_one_that_is_being_tried_again_is_not_among_them(shop):
    publication, row = refused_change(shop)

    response = press(
        shop,
        publication,
        "retry",
        **{"coupon": row.pk, "from": "codes", "status": "change-refused"},
    )

    assert response.redirect_chain[-1][0].endswith("?status=change-refused")
    assert shown(response) == []
    assert "None: no change was refused there." in text_of(response)


def test_pages_of_refused_changes_follow_one_another(shop):
    publication = many(shop, count=4 * A_PAGE)
    RemoteCoupon.objects.filter(status="live").update(detail="No.")

    first = codes(shop, publication, status="change-refused")
    after = first.context["codes"].next
    second = codes(shop, publication, status="change-refused", after=after)

    found = [row["row"].pk for page in (first, second) for row in page.context["rows"]]
    there = RemoteCoupon.objects.filter(status="live").order_by("pk")
    assert len(shown(first)) == A_PAGE < there.count() <= 2 * A_PAGE
    assert found == list(there.values_list("pk", flat=True))


def test_a_refund_stands_beside_its_use(shop):
    publication = shop.at_paddle("live", "live")
    rows = RemoteCoupon.objects.order_by("pk")
    at = instant("2026-05-01 23:30")
    for n, row in enumerate(rows, start=1):
        Use.objects.create(
            connection=shop.paddle,
            coupon=row,
            code=row.remote_id,
            key=f"order:77-{n}",
            source="webhook",
            outcome="void",
            seen_at=at,
            refunded_at=at if n == 1 else None,
        )
        Step.objects.create(
            connection=shop.paddle,
            coupon=row,
            kind="refunded",
            facts={"order": f"77-{n}", "is_whole": False},
            at=at,
        )

    told = text_of(codes(shop, publication))

    assert "Refunded 2026-05-02 08:30: order 77-1, in part." in told
    assert "77-2" not in told


def test_its_differences_are_one_click_away(shop):
    publication, coupon = shop.at_line()
    make_difference(coupon)

    assert "1 difference" in text_of(codes(shop, publication))


def test_a_refused_code_says_why_with_a_button_for_those_who_may(shop):
    publication = shop.at_paddle("refused")
    why = "Paddle: the code exists already (132)."
    RemoteCoupon.objects.update(detail=why)

    assert why in text_of(codes(shop, publication))
    assert "Try again" not in text_of(codes(shop, publication))
    assert "Try again" in text_of(codes(shop, publication, "Editor"))


@pytest.mark.parametrize(
    "text", ["latte00", "LATTE001", "ｌａｔｔｅ００1", " LATTE001 "]
)
def test_a_code_is_found_from_its_beginning_in_any_spelling(shop, text):
    publication = shop.at_paddle("live", "refused")

    assert "LATTE001" in shown(codes(shop, publication, q=text))


def test_a_number_at_vivoldi_is_found_with_its_dashes(shop):
    publication = make_publication(shop.campaign, shop.vivoldi, live=1)
    make_remote_coupon(publication, remote_id="ABCD1234EFGH5678")

    assert shown(codes(shop, publication, q="abcd-1234-efgh-5678")) == [
        "ABCD1234EFGH5678"
    ]


def test_a_fixed_serial_is_found_too(shop):
    batch = make_fixed_batch(shop.campaign, code="FNA@5841")
    publication = make_publication(shop.campaign, shop.paddle, live=1)
    make_remote_coupon(publication, batch=batch, remote_id="FNA@5841")

    response = codes(shop, publication, q="fna@5841")

    assert shown(response) == ["FNA@5841"]
    assert "fixed, for everybody" in text_of(response)


@pytest.mark.parametrize("text", ["%", "_", "nothing", "\u202e", "a" * 5_000, "🎟"])
def test_a_search_that_finds_nothing_says_so(shop, text):
    publication = shop.at_paddle("live")

    response = codes(shop, publication, q=text)

    assert response.status_code == 200
    assert text == "\u202e" or shown(response) == []


def test_codes_of_another_publication_are_not_found(shop):
    mine = shop.at_paddle("live")
    other = make_publication(None, shop.paddle, live=1)
    make_remote_coupon(other, remote_id="OTHERS-1")

    assert shown(codes(shop, mine, q="OTHERS-1")) == []


def many(shop, count=2 * A_PAGE + 7):
    """A publication with troubles, waiting and live rows over several pages."""
    publication = make_publication(shop.campaign, shop.paddle, total=count)
    statuses = ["refused", "waiting", "live", "unknown", "live"]
    RemoteCoupon.objects.bulk_create(
        RemoteCoupon(
            connection=shop.paddle,
            publication=publication,
            remote_id=f"MANY-{n:04d}",
            status=statuses[n % 5],
        )
        for n in range(count)
    )
    return publication


@pytest.mark.parametrize("status", ["", "live"])
def test_pages_follow_one_another_without_a_gap_or_a_row_twice(shop, status):
    publication = many(shop)
    seen, after = [], ""

    while True:
        response = codes(shop, publication, after=after, status=status)
        seen += shown(response)
        after = response.context["codes"].next
        if not after:
            break

    rows = RemoteCoupon.objects.filter(publication=publication)
    wanted = rows.filter(status=status) if status else rows
    assert sorted(seen) == sorted(wanted.values_list("remote_id", flat=True))
    assert len(seen) > A_PAGE or status


@pytest.mark.parametrize(
    "after", ["", "live", "live.", "live.-1", "other.3", "live.x", "live.9" * 9, "é.1"]
)
def test_a_made_up_place_to_go_on_from_is_the_beginning(after):
    assert Cursor.read(after) is None


def test_a_page_counts_no_rows(shop):
    publication = many(shop)

    with CaptureQueriesContext(
        database,
    ) as asked:
        page_of(publication)

    assert len(asked) <= len(remote_codes.ORDER)
    assert not any("COUNT(" in query["sql"].upper() for query in asked)
    assert all("LIMIT" in query["sql"] for query in asked)


# --- buttons ----------------------------------------------------------------------------


def test_paused_and_resumed(shop):
    publication = shop.at_paddle("waiting")

    paused = press(shop, publication, "pause")
    publication.refresh_from_db()
    reason = publication.pause_reason
    resumed = press(shop, publication, "resume")
    publication.refresh_from_db()

    assert said(paused) == [
        "Paused: nothing more is sent there until you press Resume."
    ]
    assert reason == "Paused by editor."
    assert said(resumed) == ["It goes on."]
    assert publication.pause_reason == ""


def test_who_paused_goes_by_the_full_name(shop):
    publication = shop.at_paddle("waiting")
    User.objects.filter(username="editor").update(first_name="Leo", last_name="Martin")

    press(shop, publication, "pause")

    publication.refresh_from_db()
    assert publication.pause_reason == "Paused by Leo Martin."


def test_pressed_twice_the_second_press_is_told_so(shop):
    publication = shop.at_paddle("waiting")

    press(shop, publication, "pause")
    second = press(shop, publication, "pause")

    assert "another state by now" in said(second)[0]
    assert Step.objects.filter(kind="paused").count() == 1


def test_all_refused_and_unclear_are_tried_again(shop):
    publication = shop.at_paddle("live", "refused", "unknown")

    press(shop, publication, "retry")

    assert set(RemoteCoupon.objects.values_list("status", flat=True)) == {
        "live",
        "waiting",
    }


def test_one_code_alone_is_tried_again_and_its_page_stays(shop):
    publication = shop.at_paddle("refused", "refused")
    one = RemoteCoupon.objects.order_by("pk").first()

    response = press(
        shop,
        publication,
        "retry",
        coupon=one.pk,
        **{"from": "codes", "status": "refused"},
    )

    one.refresh_from_db()
    assert one.status == Status.WAITING
    assert RemoteCoupon.objects.filter(status="refused").count() == 1
    assert response.request["QUERY_STRING"] == "status=refused"


@pytest.mark.parametrize(("answer", "status"), [("yes", "live"), ("no", "waiting")])
def test_a_person_decides_what_is_unclear(shop, answer, status):
    publication = shop.at_paddle("unknown")
    one = RemoteCoupon.objects.get()

    press(shop, publication, "decide", coupon=one.pk, is_there=answer)
    press(shop, publication, "decide", coupon=one.pk, is_there=answer)

    one.refresh_from_db()
    publication.refresh_from_db()
    assert one.status == status
    assert publication.unknown == 0
    assert Step.objects.filter(kind="decided").count() == 1


@pytest.mark.parametrize("answer", ["", "perhaps"])
def test_an_answer_that_is_none_decides_nothing(shop, answer):
    publication = shop.at_paddle("unknown")
    one = RemoteCoupon.objects.get()

    response = press(shop, publication, "decide", coupon=one.pk, is_there=answer)

    one.refresh_from_db()
    assert one.status == Status.UNKNOWN
    assert said(response) == ["That could not be read. Press the button again."]


def test_new_serials_are_published(shop):
    publication = shop.at_paddle("live", "live", "live")
    make_serials(shop.campaign, 2)

    press(shop, publication, "top_up")

    publication.refresh_from_db()
    assert publication.prepared_at is None


def test_terms_that_are_the_same_are_not_sent(shop):
    made = publish_at(shop, shop.paddle)
    Publication.objects.filter(pk=made.pk).update(state=State.OPEN)

    response = press(shop, made, "send_terms")

    assert said(response) == ["Nothing has changed that is sent there."]


def publish_at(shop, connection, **fields):
    address = url_of("campaigns_campaign_publish", shop.campaign.pk, connection.pk)
    shop.client("Editor").post(address, {"nonce": str(uuid4()), **fields})
    return Publication.objects.get(connection=connection)


# --- taking back ------------------------------------------------------------------------


def test_taking_back_asks_first_and_says_what_is_lost(shop):
    publication, _coupon = shop.at_line()
    address = url_of("sync_publication_close", publication.pk)

    page = shop.client().get(address)

    publication.refresh_from_db()
    assert publication.state == State.OPEN
    assert "Whoever holds the coupon on LINE can't use it any more." in text_of(page)
    assert "LINE can't start it again." in text_of(page)


@pytest.mark.parametrize("name", ["", "Another campaign", "x" * 301])
def test_another_name_takes_nothing_back(shop, name):
    publication, _coupon = shop.at_line()

    response = press(shop, publication, "close", "Manager", name=name)

    publication.refresh_from_db()
    assert response.status_code == 400
    assert publication.state == State.OPEN


@pytest.mark.parametrize("name", ["Spring latte", " spring  LATTE ", "Ｓpring latte"])
def test_the_campaign_s_name_takes_it_back(shop, name):
    publication, _coupon = shop.at_line()

    response = press(shop, publication, "close", "Manager", name=name)

    publication.refresh_from_db()
    assert publication.state == State.CLOSING
    assert said(response) == ["It is being taken back."]


def test_taken_back_twice_the_second_press_is_told_so(shop):
    publication, _coupon = shop.at_line()

    press(shop, publication, "close", "Manager", name="Spring latte")
    second = press(shop, publication, "close", "Manager", name="Spring latte")

    assert second.status_code == 409
    assert "another state by now" in text_of(second)


@pytest.mark.parametrize("button", ["close", "replace"])
def test_an_old_link_to_take_back_what_is_gone_leads_to_the_providers(shop, button):
    publication, _ = shop.at_line()
    Publication.objects.filter(pk=publication.pk).update(
        state="closed", closed_at=timezone.now()
    )

    response = shop.client().get(url_of(f"sync_publication_{button}", publication.pk))

    assert response.status_code == 302
    assert "/providers/" in response["Location"]


def test_a_change_at_line_closes_and_makes_again_once(shop):
    old, _coupon = shop.at_line()
    fields = {
        "name": "Spring latte",
        "nonce": str(uuid4()),
        "visibility": "PUBLIC",
        "way": "normal",
    }

    press(shop, old, "replace", "Manager", **fields)
    press(shop, old, "replace", "Manager", **fields)

    old.refresh_from_db()
    new = Publication.objects.exclude(pk=old.pk).get()
    assert old.state == State.CLOSING
    assert new.replaces == old
    assert new.terms["visibility"] == "PUBLIC"


def test_a_change_is_filled_in_as_it_was_chosen_before(shop):
    old, _coupon = shop.at_line(
        options={"visibility": "PUBLIC", "probability": 30, "most_winners": None}
    )

    page = shop.client().get(url_of("sync_publication_replace", old.pk))

    form = page.context["options"]
    assert form["visibility"].value() == "PUBLIC"
    assert form["way"].value() == "lottery"
    assert form["probability"].value() == 30
    assert "nobody gets the new one unless it is sent to them" in text_of(page)


def test_a_campaign_that_line_would_not_take_is_not_closed(shop):
    old, _coupon = shop.at_line()
    type(shop.campaign).objects.filter(pk=shop.campaign.pk).update(name="🎟" * 31)
    shop.campaign.refresh_from_db()

    page = shop.client().get(url_of("sync_publication_replace", old.pk))
    press(
        shop,
        old,
        "replace",
        "Manager",
        name=shop.campaign.name,
        nonce=str(uuid4()),
        visibility="PUBLIC",
        way="normal",
    )

    old.refresh_from_db()
    assert "LINE would not take the new one" in text_of(page)
    assert old.state == State.OPEN


def test_elsewhere_than_at_line_nothing_is_closed_and_made_again(shop):
    publication = shop.at_paddle("live")

    page = shop.client().get(url_of("sync_publication_replace", publication.pk))
    answer = press(shop, publication, "replace", "Manager", name="Spring latte")

    publication.refresh_from_db()
    assert page.status_code == answer.status_code == 404
    assert publication.state == State.OPEN
