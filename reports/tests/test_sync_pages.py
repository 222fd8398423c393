"""Sync: the overview, differences, what was found at LINE, looks and the history."""

from datetime import timedelta

import pytest
from django.utils import timezone

from reports.admin.sync_overview import length_words
from reports.tests.provider_helpers import Shop, said, text_of, url_of
from sync.models import Difference, Publication, Run, Step
from testing.factories import (
    make_campaign,
    make_connection,
    make_difference,
    make_publication,
    make_remote_coupon,
    make_run,
)

pytestmark = pytest.mark.django_db

RAW = {
    "couponId": "01FOUND",
    "title": "Bring a friend",
    "status": "RUNNING",
    "acquisitionCondition": {"type": "referral"},
    "reward": {"type": "gift"},
    "maxUseCountPerTicket": 1,
    "startTimestamp": 1_700_000_000,
    "endTimestamp": 4_000_000_000,
    "timezone": "ASIA_TOKYO",
    "visibility": "UNLISTED",
    "future": {"of": ["LINE", None]},
}


@pytest.fixture
def shop():
    return Shop()


def see(shop, name, role="Viewer", **query):
    return shop.client(role).get(url_of(f"sync_{name}_changelist"), query)


def found_at(connection, **fields):
    fields = {"told": "RUNNING", "title": "Bring a friend", "raw": RAW} | fields
    return make_remote_coupon(connection=connection, **fields)


# --- overview ---------------------------------------------------------------------------


def test_campaigns_stand_against_providers_with_state_and_differences(shop):
    _publication, coupon = shop.at_line()
    make_difference(coupon)
    make_run(shop.line)

    response = see(shop, "publication")

    [row] = response.context["rows"]
    cells = dict(row.cells)
    [place] = cells["LINE"]
    assert (place.words, place.card.open_differences) == ("running", 1)
    assert place.card.looked_at is not None
    assert cells["Paddle Classic"] == cells["Vivoldi"] == []


def test_one_campaign_at_two_accounts_of_a_provider_shows_both(shop):
    shop.at_line()
    other = make_connection(name="Other LINE")
    make_publication(shop.campaign, other, live=1, prepared_at=timezone.now())

    [row] = see(shop, "publication").context["rows"]

    assert len(dict(row.cells)["LINE"]) == 2


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ("", ["Alone", "Differs", "Spring latte"]),
        ("differences", ["Differs"]),
        ("unpublished", ["Alone"]),
        ("nonsense", ["Alone", "Differs", "Spring latte"]),
    ],
)
def test_campaigns_can_be_chosen_by_what_they_need(shop, only, names):
    shop.at_line()
    differs = make_publication(make_campaign(name="Differs"), shop.paddle, live=1)
    make_difference(None, publication=differs)
    make_campaign(name="Alone")
    make_campaign(name="Draft", state="draft")

    rows = see(shop, "publication", only=only).context["rows"]

    assert sorted(row.campaign.name for row in rows) == names


@pytest.mark.parametrize("page", ["0", "-1", "x", "999999", "2"])
def test_a_made_up_page_is_one_there_is(shop, page):
    shop.at_line()

    assert see(shop, "publication", page=page).status_code == 200


def test_many_campaigns_make_pages(shop):
    for n in range(25):
        make_publication(make_campaign(name=f"Campaign {n}"), shop.paddle, live=1)

    first, second = see(shop, "publication"), see(shop, "publication", page="2")

    assert len(first.context["rows"]) == 20
    assert len(second.context["rows"]) == 6
    assert "Page 1 of 2" in text_of(first)


def test_each_account_says_how_it_is_and_when_it_was_looked_at(shop):
    make_run(shop.line, listed=5_000, asked=12)
    make_run(shop.paddle, state="failed", problem="Paddle answered with HTML.")
    make_run(shop.vivoldi, state="running", listed=7, asked=3)
    shop.vivoldi.note_failures(1, "Vivoldi took too long.", at=timezone.now())

    told = text_of(see(shop, "publication"))

    assert "Looked at" in told
    assert "It was stopped: Paddle answered with HTML." in told
    assert "7 listed, 3 asked about" in told
    assert "Vivoldi took too long." in told


def test_without_an_account_it_says_what_to_do(shop):
    for connection in (shop.line, shop.paddle, shop.vivoldi):
        connection.delete()

    assert "A Manager adds accounts" in text_of(see(shop, "publication"))
    assert "Add a connection" in text_of(see(shop, "publication", "Manager"))


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=5), "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(minutes=121), "3 hours"),
        (timedelta(hours=49), "3 days"),
    ],
)
def test_a_length_is_said_as_people_say_it(length, words):
    assert length_words(length) == words


@pytest.mark.parametrize(
    "name", ["publication", "difference", "remotecoupon", "run", "step"]
)
def test_every_list_names_the_zone_of_its_times(shop, name):
    assert "Times are in UTC." in text_of(see(shop, name))


def test_a_difference_and_a_found_coupon_name_the_zone_of_their_times(shop):
    publication, coupon = shop.at_line()
    difference = make_difference(coupon)
    found = found_at(shop.line)

    for name, pk in (("difference", difference.pk), ("remotecoupon", found.pk)):
        page = shop.client("Viewer").get(url_of(f"sync_{name}_change", pk))
        assert "Times are in UTC." in text_of(page)


def test_each_page_of_sync_is_marked_as_sync_in_the_side_bar(shop):
    publication, coupon = shop.at_line()
    difference = make_difference(coupon)
    lists = ["publication", "difference", "remotecoupon", "run", "step"]
    pages = [url_of(f"sync_{name}_changelist") for name in lists]
    pages.append(url_of("sync_publication_change", publication.pk))
    pages.append(url_of("sync_difference_change", difference.pk))

    for page in pages:
        assert marked(shop.client("Viewer").get(page)) == ["Sync"], page
    elsewhere = url_of("campaigns_campaign_changelist")
    assert marked(shop.client("Viewer").get(elsewhere)) == ["Campaigns"]


def marked(response):
    """The entries of the side bar that are shown as where one is."""
    groups = response.context["sidebar_navigation"]
    items = [item for group in groups for item in group["items"]]
    return [str(item["title"]) for item in items if item["active"]]


# --- looks ------------------------------------------------------------------------------


def look(shop, role="Editor", **fields):
    address = url_of("sync_run_start")
    return shop.client(role).post(address, fields, follow=True)


def test_look_now_begins_one_look_however_often_it_is_pressed(shop):
    look(shop, connection=shop.line.pk)
    response = look(shop, connection=shop.line.pk)

    run = Run.objects.get()
    assert run.connection == shop.line
    assert run.asked_by == shop.people["Editor"]
    assert said(response)[-1].startswith("Looking.")


def test_everything_is_looked_at_when_that_is_pressed(shop):
    make_run(shop.line, is_whole=True, started_at=timezone.now())

    look(shop, connection=shop.line.pk, whole="1")

    run = Run.objects.get(state=Run.State.RUNNING)
    assert run.is_whole
    assert run.asked_by == shop.people["Editor"]


def test_whoever_wants_everything_while_another_look_is_under_way_is_told_so(shop):
    make_run(shop.line, state=Run.State.RUNNING, is_whole=False)

    response = look(shop, connection=shop.line.pk, whole="1")

    assert not Run.objects.get().is_whole
    assert said(response) == [
        "A look at this account is under way, and not at everything. Press again when "
        "it is over."
    ]


def test_looking_at_everything_is_offered_with_what_it_is_for(shop):
    shop.paddle.pause("Paddle refused the key.")

    told = text_of(see(shop, "publication", "Editor"))

    assert "Look at everything A look asks for what can have changed" in told
    assert "Look at everything: Clover LINE" in told
    assert "Look at everything: Clover Paddle" not in told
    assert "Look at everything" not in text_of(see(shop, "publication"))


@pytest.mark.parametrize("number", ["", "0", "abc", "999999", "9" * 30])
def test_a_look_at_an_account_that_is_not_there_is_refused_in_words(shop, number):
    response = look(shop, connection=number)

    assert said(response) == ["This connection has been deleted."]
    assert not Run.objects.exists()


def test_a_paused_account_is_not_looked_at(shop):
    shop.line.pause("LINE refused the token.")

    response = look(shop, connection=shop.line.pk)

    assert "LINE refused the token." in said(response)[0]
    assert not Run.objects.exists()


def test_looks_say_what_they_found(shop):
    make_run(shop.line, listed=5_000, asked=1_200, changed=3, calls=1_250)
    make_run(shop.paddle, asked_by=shop.people["Editor"])

    told = text_of(see(shop, "run"))

    assert "5,000" in told
    assert "1,250" in told
    assert "by the schedule" in told
    assert "editor" in told


# --- differences ------------------------------------------------------------------------


def test_a_difference_says_both_values_and_since_when(shop):
    _publication, coupon = shop.at_line()
    make_difference(coupon, field="title", ours="Spring latte", theirs="Sommer")

    told = text_of(see(shop, "difference"))

    assert "Spring latte" in told
    assert "Sommer" in told
    assert "since" in told


@pytest.mark.parametrize(
    ("account", "field", "terms", "ours", "theirs", "words"),
    [
        (
            "line",
            "endTimestamp",
            {},
            "1803049200",
            "1803085200",
            "Ends all of its coupons|Here 2027-02-19 23:59 (Asia/Tokyo) "
            "There 2027-02-20 10:00 (Asia/Tokyo)",
        ),
        (
            "line",
            "startTimestamp",
            {},
            "1803049200",
            "soon",
            "Starts|Here 2027-02-20 00:00 (Asia/Tokyo) There soon",
        ),
        (
            "line",
            "visibility",
            {},
            "UNLISTED",
            "NEW",
            "Visibility|Here Only who gets the message, or its link There NEW",
        ),
        (
            "line",
            "reward.priceInfo.percentage",
            {},
            "15",
            "10",
            "Here 15 per cent off There 10 per cent off",
        ),
        (
            "paddle",
            "discount_amount",
            {"discount_type": "flat", "currency": "USD"},
            "15",
            "",
            "Benefit|Here USD 15 off There –",
        ),
        (
            "paddle",
            "discount_amount",
            {"discount_type": "percentage", "currency": "USD"},
            "15",
            "10",
            "Here 15 per cent off There 10 per cent off",
        ),
        (
            "paddle",
            "description",
            {},
            "Spring",
            "Summer",
            "Name all of its coupons|Here Spring There Summer",
        ),
        ("paddle", "recurring", {}, "1", "0", "Renewals|Here yes There no"),
        (
            "vivoldi",
            "disc",
            {"discTypeIdx": 457},
            "15",
            "10",
            "Here 15 per cent off There 10 per cent off",
        ),
        (
            "vivoldi",
            "disc",
            {"discTypeIdx": 458, "discCurrency": "KRW"},
            "1500",
            "1000",
            "Here KRW 1500 off There KRW 1000 off",
        ),
        ("vivoldi", "useLimit", {}, "0", "1", "Here no limit There 1"),
        ("vivoldi", "onsiteYn", {}, "Y", "N", "Here yes There no"),
    ],
)
def test_both_values_of_a_difference_are_told_in_words(
    shop, account, field, terms, ours, theirs, words
):
    publication = make_publication(
        shop.campaign, getattr(shop, account), terms=terms, live=1
    )
    make_difference(
        None, publication=publication, field=field, ours=ours, theirs=theirs
    )
    Step.objects.create(
        connection=publication.connection,
        publication=publication,
        kind="differs",
        facts={"field": field, "ours": ours, "theirs": theirs},
        at=timezone.now(),
    )

    told = text_of(see(shop, "difference"))
    history = text_of(see(shop, "step"))

    for part in words.split("|"):
        assert part in told
    here = words.rpartition("|")[2].partition("Here ")[2].partition(" There ")[0]
    assert f"here “{here}”" in history


def test_an_editor_lets_a_difference_be(shop):
    _publication, coupon = shop.at_line()
    difference = make_difference(coupon)
    address = url_of("sync_difference_mend", difference.pk)

    for _press in range(2):
        response = shop.client("Editor").post(
            address, {"action": "accept"}, follow=True
        )

    difference.refresh_from_db()
    assert difference.ended_how == "accepted"
    assert difference.ended_by == shop.people["Editor"]
    assert said(response) == ["This difference is settled already."]
    assert Step.objects.filter(kind="mended").count() == 1


@pytest.mark.parametrize("action", ["", "nonsense", "edit"])
def test_what_can_t_be_done_about_it_is_not_done(shop, action):
    _publication, coupon = shop.at_line()
    difference = make_difference(coupon)

    response = shop.client().post(
        url_of("sync_difference_mend", difference.pk), {"action": action}, follow=True
    )

    assert said(response) == ["That can't be done about this difference."]
    assert Difference.objects.get().ended_at is None


def test_a_grave_action_says_what_it_costs_before_its_button(shop):
    _publication, coupon = shop.at_line()
    difference = make_difference(coupon, field="endTimestamp")
    page = url_of("sync_difference_change", difference.pk)

    listed = see(shop, "difference", "Manager").content.decode()
    asked = shop.client().get(page)

    assert f'href="{page}#do-replace"' in listed
    assert 'value="replace"' not in listed
    [action] = [x for x in asked.context["shown"]["actions"] if x.key == "replace"]
    assert action.warning in text_of(asked)


def test_differences_can_be_narrowed_to_a_campaign_and_an_account(shop):
    _publication, coupon = shop.at_line()
    make_difference(coupon)
    other = make_publication(make_campaign(), shop.paddle, live=1)
    make_difference(None, publication=other, ours="Elsewhere")

    mine = see(shop, "difference", campaign=shop.campaign.pk, connection=shop.line.pk)
    none = see(shop, "difference", campaign=shop.campaign.pk, connection=999_999)

    assert len(mine.context["rows"]) == 1
    assert "Elsewhere" not in text_of(mine)
    assert "No differences" in text_of(none)


def test_a_settled_difference_is_said_to_be(shop):
    _publication, coupon = shop.at_line()
    difference = make_difference(coupon, ended_at=timezone.now(), ended_how="agreed")

    page = shop.client().get(url_of("sync_difference_change", difference.pk))

    assert "This was settled on" in text_of(page)
    assert "No differences" in text_of(see(shop, "difference"))


@pytest.mark.parametrize("name", ["difference", "run", "step", "remotecoupon"])
def test_long_lists_come_in_pages_without_a_gap(shop, name):
    publication, coupon = shop.at_line()
    for n in range(60):
        if name == "difference":
            make_difference(coupon, field=f"field{n}")
        elif name == "run":
            make_run(shop.line)
        elif name == "step":
            Step.objects.create(
                connection=shop.line,
                publication=publication,
                kind="told",
                at=timezone.now(),
            )
        else:
            found_at(shop.line)

    first = see(shop, name, connection=shop.line.pk)
    second = see(shop, name, connection=shop.line.pk, before=first.context["more"])

    assert len(first.context["rows"]) == 50
    assert len(second.context["rows"]) == 10
    assert second.context["more"] == 0
    assert f"connection={shop.line.pk}" in first.content.decode()


@pytest.mark.parametrize("name", ["difference", "run", "step", "remotecoupon"])
@pytest.mark.parametrize("value", ["x", "-1", "9" * 30, "1e3", "٣"])
def test_made_up_filters_break_nothing(shop, name, value):
    response = see(shop, name, before=value, connection=value, campaign=value)

    assert response.status_code == 200


# --- found at LINE ----------------------------------------------------------------------


def test_coupons_made_in_line_s_manager_are_found_drafts_and_referral_too(shop):
    shop.at_line()
    found_at(shop.line)
    found_at(shop.line, title="Not ready", told="DRAFT")
    found_at(shop.line, title="Gone", missing_since=timezone.now())
    make_remote_coupon(connection=shop.paddle, title="Paddle's")

    told = text_of(see(shop, "remotecoupon"))

    assert "Bring a friend" in told
    assert "for bringing friends" in told
    assert "Not ready" in told
    assert "draft" in told
    assert "Spring latte" not in told
    assert "Gone" not in told
    assert "Paddle's" not in told


def test_what_line_says_of_it_is_shown_known_or_not(shop):
    coupon = found_at(shop.line)

    told = text_of(
        shop.client("Viewer").get(url_of("sync_remotecoupon_change", coupon.pk))
    )

    assert "Who gets it Who brings a friend, and the friend" in told
    assert "Visibility Only who gets the message, or its link" in told
    assert "Uses per contact Once" in told
    assert "Benefit Gift" in told
    assert "future.of LINE, None" in told
    assert "Take it over" not in told


@pytest.mark.parametrize("raw", [None, [], "text", {"reward": None}, {"reward": [1]}])
def test_an_answer_of_another_shape_still_has_its_page(shop, raw):
    coupon = found_at(shop.line, raw=raw)

    page = shop.client().get(url_of("sync_remotecoupon_adopt", coupon.pk))

    assert page.status_code == 200
    assert see(shop, "remotecoupon").status_code == 200


def adopt(shop, coupon, campaign, role="Manager"):
    return shop.client(role).post(
        url_of("sync_remotecoupon_adopt", coupon.pk),
        {"campaign": campaign.pk},
        follow=True,
    )


def test_a_manager_takes_one_over_and_twice_is_once(shop):
    coupon = found_at(shop.line)

    first = adopt(shop, coupon, shop.campaign)
    adopt(shop, coupon, shop.campaign)

    made = Publication.objects.get()
    coupon.refresh_from_db()
    assert made.is_adopted
    assert coupon.publication == made
    assert said(first) == ["It is “Spring latte” at LINE from now on."]


def test_a_campaign_that_has_a_coupon_there_is_not_offered(shop):
    shop.at_line()
    make_campaign(name="Another")
    coupon = found_at(shop.line)

    response = adopt(shop, coupon, shop.campaign)

    assert response.status_code == 400
    assert "Choose another." in text_of(response)
    assert Publication.objects.count() == 1


def test_a_closed_coupon_is_refused_in_words(shop):
    coupon = found_at(shop.line, told="CLOSED")

    response = adopt(shop, coupon, shop.campaign)

    assert response.status_code == 409
    assert "This coupon is closed" in text_of(response)


def test_an_adopted_one_is_let_go_again(shop):
    coupon = found_at(shop.line)
    adopt(shop, coupon, shop.campaign)
    made = Publication.objects.get()

    shop.client().post(url_of("sync_publication_let_go", made.pk))

    coupon.refresh_from_db()
    assert coupon.publication is None


def test_a_campaign_s_coupon_leads_to_its_publication(shop):
    publication, coupon = shop.at_line()

    response = shop.client().get(url_of("sync_remotecoupon_change", coupon.pk))

    assert response.url == url_of("sync_publication_change", publication.pk)


# --- history ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "facts", "words"),
    [
        ("published", {}, "Published"),
        ("prepared", {"total": 60, "refused": 2}, "60 coupons, 2 refused"),
        ("published", {"more": True}, "the new serials"),
        ("changed", {"fields": ["expires"]}, "Ends"),
        ("retried", {"count": 1}, "1 coupon"),
        ("decided", {"is_there": False}, "it is not there"),
        (
            "differs",
            {"field": "title", "ours": "A", "theirs": "B"},
            "Name: here “A”, there “B”.",
        ),
        (
            "mended",
            {"field": "title", "ours": "A", "theirs": "B", "how": "sent"},
            "there “B”. What the campaign says was sent there.",
        ),
        ("told", {"was": "DRAFT", "told": "RUNNING"}, "from draft to running"),
        ("told", {"was": "RUNNING", "told": "NEW"}, "from running to NEW"),
        ("appeared", {"title": "Latte", "id": "01X", "told": "DRAFT"}, "(01X) · draft"),
        ("vanished", {"title": "Latte", "id": "01X"}, "“Latte” (01X)"),
        (
            "used",
            {"source": "webhook", "outcome": "counted"},
            "told by the provider at once, counted",
        ),
        ("refunded", {"order": "77-1", "is_whole": True}, "order 77-1"),
        ("refunded", {"order": "77-1", "is_whole": False}, "a part of its price"),
        ("told", {"of": {"another": "shape"}}, "Its state there has changed"),
        (
            "told",
            {"told": None, "title": None, "count": "x"},
            "Its state there has changed",
        ),
    ],
)
def test_a_step_is_told_in_words(shop, kind, facts, words):
    publication, _coupon = shop.at_line()
    Step.objects.create(
        connection=shop.line,
        publication=publication,
        kind=kind,
        facts=facts,
        by=shop.people["Editor"],
        at=timezone.now(),
    )

    told = text_of(see(shop, "step"))

    assert words in told
    assert "editor" in told
    assert "Spring latte" in told


def test_nothing_yet_is_said_on_every_page(shop):
    for name in ("difference", "remotecoupon", "run", "step"):
        response = see(shop, name)
        assert response.context["rows"] == []
        assert "bo-nothing" in response.content.decode()


def test_what_was_found_at_line_is_narrowed_to_accounts_at_line_alone(shop):
    make_connection(name="Another LINE")
    found_at(shop.line)

    response = see(shop, "remotecoupon")

    names = [connection.name for connection in response.context["connections"]]
    assert sorted(names) == ["Another LINE", "Clover LINE"]
