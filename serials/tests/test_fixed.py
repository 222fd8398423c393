from uuid import uuid4

import pytest
from django.urls import reverse

from campaigns.models import Campaign
from serials import services
from serials.errors import ImportRefused
from serials.models import Batch, Stock
from testing.factories import make_campaign, make_serials, make_user

pytestmark = pytest.mark.django_db


def make(campaign=None, **fields):
    fields.setdefault("code", "FNA@5841")
    fields.setdefault("quantity", 100)
    fields.setdefault("name", "")
    return services.make_fixed(
        campaign or make_campaign(barcode="code128"), by=make_user(), **fields
    )


@pytest.mark.parametrize("quantity", [1, 1_000_000])
def test_a_fixed_serial_is_there_at_once_whatever_the_quantity(quantity):
    batch = make(quantity=quantity)

    assert batch.state == Batch.State.READY
    assert batch.stock.quantity == quantity
    assert (batch.code_key, batch.name) == ("fna@5841", "FNA@5841")
    assert (batch.fits_code39, batch.fits_code128) == (False, True)


def test_without_a_limit_there_is_no_stock_to_count():
    batch = make(quantity=None)

    assert not Stock.objects.filter(batch=batch).exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": "  "}, "code"),
        ({"code": "X" * 17}, "code"),
        ({"code": "A\0B"}, "code"),
        ({"code": "A\u202eB"}, "code"),
        ({"code": "サクラ"}, "code"),
        ({"code": "TAKEN"}, "code"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 1_000_001}, "quantity"),
    ],
)
def test_a_wrong_fixed_serial_is_refused_at_its_field(fields, field):
    campaign = make_campaign(barcode="code128")
    make_serials(campaign, ["taken"])

    with pytest.raises(ImportRefused) as refusal:
        make(campaign, **fields)

    assert refusal.value.field == field
    assert not Batch.objects.filter(kind="fixed").exists()


def test_a_batch_that_may_have_given_something_out_stays():
    used, unused, unlimited = make(), make(), make(quantity=None)
    services.take_unit(used)

    services.delete(unused)
    for batch in (used, unlimited):
        with pytest.raises(ImportRefused, match="has to stay"):
            services.delete(batch)

    assert set(Batch.objects.all()) == {used, unlimited}


def test_the_order_and_the_name_change_and_nothing_else_does():
    batch = make()
    Batch.objects.filter(pk=batch.pk).update(voided=0, memo="old")

    services.set_position(batch, 7)
    services.describe(batch, name="Spring", memo="for April")

    batch.refresh_from_db()
    assert (batch.position, batch.name, batch.memo) == (7, "Spring", "for April")
    assert batch.state == Batch.State.READY


def test_a_new_fixed_serial_goes_by_the_campaign_as_it_is_now():
    loaded = make_campaign(barcode="code128")
    Campaign.objects.filter(pk=loaded.pk).update(is_case_sensitive=True)

    assert make(loaded, code="Abc").code_key == "Abc"

    Campaign.objects.filter(pk=loaded.pk).update(state=Campaign.State.ENDED)
    with pytest.raises(ImportRefused, match="has ended"):
        make(loaded, code="Def")


def test_a_press_that_arrives_twice_makes_one_batch():
    campaign, press = make_campaign(barcode="code128"), uuid4()

    made = [make(campaign, nonce=press) for _ in range(2)]

    assert made[0] == made[1] == Batch.objects.get()
    assert make(campaign, nonce=uuid4()) != made[0]


@pytest.mark.parametrize(
    ("page", "values"),
    [
        ("fixed", {"code": "SUMMER-5841", "quantity": "100"}),
        (
            "generate",
            {"pattern": "SPRING-########", "quantity": "10", "alphabet": "clear"},
        ),
    ],
    ids=["fixed", "generate"],
)
def test_save_pressed_twice_makes_one_batch(client, page, values):
    client.force_login(make_user("Manager"))
    campaign = make_campaign(barcode="code128")
    url = reverse(f"admin:serials_batch_{page}")
    shown = client.get(url)
    nonce = str(shown.context["nonce"])
    values |= {"campaign": campaign.pk, "nonce": nonce}

    pages = [client.post(url, values) for _ in range(2)]

    assert {answer.status_code for answer in pages} == {302}
    assert f'name="nonce" value="{nonce}"' in shown.content.decode()
    assert Batch.objects.count() == 1
