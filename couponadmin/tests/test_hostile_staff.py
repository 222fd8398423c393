"""What staff who try things find: no secret by filter, no 5xx by a made-up value."""

import pytest
from django.test import Client
from django.urls import reverse

from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_list,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", ["Viewer", "Manager"])
@pytest.mark.parametrize(
    ("page", "lookup"),
    [
        ("reports_redemptionrecord", "token__startswith"),
        ("reports_redemptionrecord", "token__regex"),
        ("reports_redemptionrecord", "token"),
        ("stores_store", "password__startswith"),
        ("campaigns_campaign", "password__startswith"),
        ("connections_connection", "access_token__startswith"),
        ("connections_connection", "hook_key__startswith"),
        ("deliveries_delivery", "template__contains"),
        ("auth_user", "password__startswith"),
        ("contacts_contact", "coupons__token__startswith"),
        ("campaigns_campaign", "coupons__token__startswith"),
    ],
)
def test_no_list_can_be_asked_for_a_secret_letter_by_letter(client, role, page, lookup):
    make_coupon(make_campaign(), make_contact(make_connection()))
    make_store()
    client.force_login(make_user(role))

    response = client.get(reverse(f"admin:{page}_changelist"), {lookup: "a"})

    assert response.status_code in (400, 403)


@pytest.mark.parametrize(
    "address",
    [
        "/admin/campaigns/campaign/?name=%00",
        "/admin/campaigns/campaign/?state__exact=%00",
        "/admin/campaigns/campaign/?q=%00",
        "/admin/campaigns/campaign/?created_at__year=-1",
        "/admin/contacts/contact/?id__range=9",
        "/admin/campaigns/campaign/add/?use_ends_at=abc",
        "/admin/campaigns/campaign/add/?stores=abc",
        "/admin/contacts/contact/add/?connection=abc",
        "/admin/deliveries/delivery/send/?send_at=abc",
        "/admin/deliveries/delivery/send/?campaign=abc",
        "/admin/serials/batch/upload/?campaign=abc",
        "/admin/reports/redemptionrecord/?campaign__id__exact=abc",
        "/admin/autocomplete/?term=%00&app_label=campaigns&model_name=campaign&field_name=stores",
    ],
)
def test_a_made_up_address_is_no_server_error(address):
    client = Client(raise_request_exception=False)
    client.force_login(make_user("Manager", is_superuser=True))

    assert client.get(address).status_code < 500


@pytest.mark.parametrize(
    ("page", "fields"),
    [
        ("admin:contacts_contact_changelist", {"action": "put_on_list"}),
        ("admin:campaigns_group_changelist", {"action": "delete_selected"}),
    ],
)
def test_a_made_up_choice_is_no_server_error(page, fields):
    make_list(make_contact())
    client = Client(raise_request_exception=False)
    client.force_login(make_user("Manager", is_superuser=True))

    response = client.post(reverse(page), fields | {"_selected_action": "abc"})

    assert response.status_code < 500


@pytest.mark.parametrize("path", ["/", "/store/", "/store/sign-in/", "/admin/login/"])
def test_a_cookie_with_a_nul_is_forgotten(path):
    client = Client(raise_request_exception=False)

    response = client.get(path, HTTP_COOKIE='session="abcdefghij\\000"')

    assert response.status_code < 500


def test_serials_are_compared_one_way_for_good(client):
    """Else the same file could be imported a second time, and each serial given twice."""
    campaign = make_campaign(state="draft")
    make_serials(campaign, ["ABC-1"])
    client.force_login(make_user("Editor"))
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    page = client.get(url)
    form = page.context["adminform"].form
    values = {
        bound.html_name: bound.value() for bound in form if bound.value() is not None
    }

    response = client.post(
        url,
        {k: v for k, v in values.items() if isinstance(v, (str, int))}
        | {
            "is_case_sensitive": "on",
            "use_starts_at_0": "2026-05-01",
            "use_ends_at_0": "2027-05-01",
            "texts-TOTAL_FORMS": "0",
            "texts-INITIAL_FORMS": "0",
        },
    )

    assert "is_case_sensitive" in response.context["adminform"].form.errors
    campaign.refresh_from_db()
    assert not campaign.is_case_sensitive


def test_a_role_that_is_too_small_is_told_so(client):
    client.force_login(make_user("Viewer"))

    response = client.get(reverse("admin:campaigns_campaign_add"))

    assert response.status_code == 403
    assert b"Your role does not allow this" in response.content
