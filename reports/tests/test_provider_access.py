"""Who may do what about providers: every page of theirs, every role, both methods."""

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from reports.tests.provider_helpers import Shop, url_of
from sync.models import Publication, RemoteCoupon
from testing.factories import (
    make_campaign,
    make_difference,
    make_remote_coupon,
    make_run,
    make_user,
)

pytestmark = pytest.mark.django_db

READ = {"Viewer", "Editor", "Manager"}
WORK = {"Editor", "Manager"}
DECIDE = {"Manager"}
# Page -> who may open it, and who may press its button; None: there is none.
PAGES = {
    "providers": (READ, None),
    "publish": (WORK, WORK),
    "overview": (READ, None),
    "codes": (READ, None),
    "state": (READ, None),
    "pause": (None, WORK),
    "resume": (None, WORK),
    "retry": (None, WORK),
    "decide": (None, WORK),
    "send_terms": (None, WORK),
    "top_up": (None, WORK),
    "close": (DECIDE, DECIDE),
    "replace": (DECIDE, DECIDE),
    "let_go": (None, DECIDE),
    "differences": (READ, None),
    "difference": (READ, None),
    "mend": (None, WORK),
    "found": (READ, None),
    "coupon": (READ, None),
    "adopt": (DECIDE, DECIDE),
    "runs": (READ, None),
    "look": (None, WORK),
    "history": (READ, None),
}


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def pages(shop):
    """The address of each page, for rows that it works for."""
    publication, coupon = shop.at_line()
    found = make_remote_coupon(connection=shop.line, told="RUNNING")
    difference = make_difference(coupon)
    make_run(shop.line)
    campaign, one = shop.campaign.pk, publication.pk
    own = {
        name: url_of(f"sync_publication_{name}", one)
        for name in (
            *("state", "pause", "resume", "retry", "decide", "send_terms"),
            *("top_up", "close", "replace", "let_go"),
        )
    }
    return own | {
        "providers": url_of("campaigns_campaign_providers", campaign),
        "publish": url_of("campaigns_campaign_publish", campaign, shop.paddle.pk),
        "overview": url_of("sync_publication_changelist"),
        "codes": url_of("sync_publication_change", one),
        "differences": url_of("sync_difference_changelist"),
        "difference": url_of("sync_difference_change", difference.pk),
        "mend": url_of("sync_difference_mend", difference.pk),
        "found": url_of("sync_remotecoupon_changelist"),
        "coupon": url_of("sync_remotecoupon_change", found.pk),
        "adopt": url_of("sync_remotecoupon_adopt", found.pk),
        "runs": url_of("sync_run_changelist"),
        "look": url_of("sync_run_start"),
        "history": url_of("sync_step_changelist"),
    }


def rows():
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_app_config("sync").get_models()
    }


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", ["Viewer", "Editor", "Manager", "Store staff"])
def test_each_page_opens_to_whom_it_is_for_and_changes_nothing(shop, pages, page, role):
    may_open, may_press = PAGES[page]
    before = rows()

    response = shop.client(role).get(pages[page])

    if role == "Store staff":
        assert response.status_code == 302
        assert response.headers["Location"].startswith(reverse("admin:login"))
    elif may_open is not None:
        assert response.status_code == (200 if role in may_open else 403)
    else:
        assert response.status_code == (405 if role in may_press else 403)
    assert rows() == before


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", ["Viewer", "Editor", "Manager", "Store staff"])
def test_each_button_works_for_whom_it_is_for_alone(shop, pages, page, role):
    may_open, may_press = PAGES[page]
    before = rows()

    response = shop.client(role).post(pages[page], {"action": "accept"})

    if role == "Store staff":
        assert response.headers["Location"].startswith(reverse("admin:login"))
    elif may_press is None:
        assert response.status_code == (405 if role in may_open else 403)
    elif role not in may_press:
        assert response.status_code == 403
    else:
        assert response.status_code in (200, 302, 400, 409)
        return
    assert rows() == before


@pytest.mark.parametrize("page", PAGES)
def test_whoever_has_not_signed_in_is_asked_to(pages, page):
    before = rows()

    for answer in (Client().get(pages[page]), Client().post(pages[page])):
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(reverse("admin:login"))
    assert rows() == before


@pytest.mark.parametrize("page", [page for page in PAGES if PAGES[page][1]])
def test_a_button_without_the_form_s_token_does_nothing(shop, pages, page):
    client = Client(enforce_csrf_checks=True)
    client.force_login(shop.people["Manager"])
    before = rows()

    response = client.post(pages[page], {"action": "accept"})

    assert response.status_code == 403
    assert rows() == before


def test_an_editor_does_not_mend_what_can_t_be_undone(shop):
    _publication, coupon = shop.at_line()
    difference = make_difference(coupon, field="endTimestamp")
    page = url_of("sync_difference_change", difference.pk)

    shown = shop.client("Editor").get(page).content.decode()
    answer = shop.client("Editor").post(
        url_of("sync_difference_mend", difference.pk), {"action": "replace"}
    )

    assert 'value="replace"' not in shown
    assert 'value="replace"' in shop.client("Manager").get(page).content.decode()
    assert answer.status_code == 403
    assert Publication.objects.count() == 1


def test_whoever_may_see_campaigns_but_no_providers_is_told_nothing_of_them(shop):
    shop.at_line()
    person = make_user("", is_staff=True, username="only-campaigns")
    person.user_permissions.add(
        *person.user_permissions.model.objects.filter(codename="view_campaign")
    )
    client = Client()
    client.force_login(person)
    page = url_of("campaigns_campaign_change", shop.campaign.pk)

    assert "Clover LINE" not in client.get(page).content.decode()
    assert (
        client.get(url_of("campaigns_campaign_providers", shop.campaign.pk)).status_code
        == 403
    )


@pytest.mark.parametrize("number", ["0", "999999", "99999999999999999999999"])
def test_what_is_not_there_is_not_found(shop, number):
    client = shop.client()
    for name in ("publication", "difference", "remotecoupon"):
        address = f"/admin/sync/{name}/{number}/change/"
        assert client.get(address).status_code == 404
    assert client.post(f"/admin/sync/publication/{number}/pause/").status_code == 404


def test_a_coupon_of_another_publication_can_t_be_named(shop):
    mine = shop.at_paddle("unknown")
    other = make_remote_coupon(
        connection=shop.paddle, campaign=make_campaign(), status="unknown"
    )

    for name in ("decide", "retry"):
        response = shop.client().post(
            url_of(f"sync_publication_{name}", mine.pk),
            {"coupon": other.pk, "is_there": "yes"},
        )
        assert response.status_code == 404
    other.refresh_from_db()
    assert other.status == RemoteCoupon.Status.UNKNOWN
