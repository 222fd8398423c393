"""Stores on the staff pages, and their password."""

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection as database
from django.urls import reverse

from stores.models import Store
from testing.factories import instant, make_store, make_user

pytestmark = pytest.mark.django_db

INLINE = {"storestaff_set-TOTAL_FORMS": "0", "storestaff_set-INITIAL_FORMS": "0"}


@pytest.fixture
def manager(client):
    client.force_login(make_user("Manager"))
    return client


def url(name, *args):
    return reverse(f"admin:stores_store_{name}", args=args)


def set_password(client, store, first, second):
    return client.post(
        url("set_password", store.pk), {"password": first, "again": second}
    )


def test_a_store_is_made_with_its_staff(manager):
    clerk = make_user("Store staff")

    answer = manager.post(
        url("add"),
        {
            "name": "Shibuya",
            "time_zone": "Asia/Tokyo",
            "is_active": "on",
            "storestaff_set-TOTAL_FORMS": "1",
            "storestaff_set-INITIAL_FORMS": "0",
            "storestaff_set-0-user": clerk.pk,
        },
    )

    assert answer.status_code == 302
    assert list(Store.objects.get().staff.all()) == [clerk]


def test_a_time_zone_that_is_none_is_refused(manager):
    page = manager.post(
        url("add"), {"name": "Shibuya", "time_zone": "Asia/Edo"} | INLINE
    )

    assert page.status_code == 200
    assert not Store.objects.exists()


def test_the_password_is_set_and_kept_as_an_argon2_hash(manager, argon2):
    store = make_store()

    answer = set_password(manager, store, "umbrella-7", "umbrella-7")

    assert answer.status_code == 302
    store.refresh_from_db()
    assert store.has_password("umbrella-7")
    assert not store.has_password("umbrella-8")
    with database.cursor() as cursor:
        cursor.execute("SELECT password FROM stores_store")
        [[stored]] = cursor.fetchall()
    assert stored.startswith("argon2$")
    assert "umbrella" not in stored
    assert "umbrella" not in LogEntry.objects.get().change_message


def test_the_store_tells_when_its_password_was_changed_last_in_its_own_zone(manager):
    store = make_store(time_zone="Asia/Taipei")
    store.set_password("umbrella-7", at=instant("2026-05-01 17:30"))

    page = manager.get(url("change", store.pk)).content.decode()

    assert "Set, last changed on May 2, 2026, 1:30 a.m. (Asia/Taipei)." in page
    assert store.password not in page


def test_another_password_ends_the_old_one(manager):
    store = make_store()
    store.set_password("the-old-one", at=instant("2026-05-01 00:00"))

    set_password(manager, store, "umbrella-7", "umbrella-7")

    store.refresh_from_db()
    assert store.has_password("umbrella-7")
    assert not store.has_password("the-old-one")
    assert store.password_changed_at > instant("2026-05-01 00:00")


def test_the_same_letters_of_another_keyboard_are_the_same_password():
    store = make_store()
    store.set_password("ｕｍｂｒｅｌｌａ-7")

    assert store.has_password("umbrella-７")


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("short", "short", "Use at least 6 characters."),
        ("umbrella-7", "umbrella-8", "not the same"),
        ("umbrella-7", "", "required"),
        ("111111", "111111", "three different"),
        ("x" * 200, "x" * 200, "at most 128"),
        ("umbrella\u202e7", "umbrella\u202e7", "nobody can type"),
    ],
)
def test_a_password_that_will_not_do_is_refused_and_the_old_one_stays(
    manager, first, second, words
):
    store = make_store()
    store.set_password("the-old-one")

    page = set_password(manager, store, first, second)

    assert page.status_code == 400
    assert words in page.content.decode()
    assert 'value="umbrella' not in page.content.decode()
    store.refresh_from_db()
    assert store.has_password("the-old-one")


def test_saving_the_store_keeps_its_password(manager):
    store = make_store()
    store.set_password("the-old-one")

    manager.post(
        url("change", store.pk), {"name": "Renamed", "time_zone": "Asia/Tokyo"} | INLINE
    )

    store.refresh_from_db()
    assert store.name == "Renamed"
    assert store.has_password("the-old-one")


@pytest.mark.parametrize("role", ["Editor", "Viewer", "Store staff"])
def test_only_managers_set_it(client, role):
    store = make_store()
    client.force_login(make_user(role))

    answer = set_password(client, store, "umbrella-7", "umbrella-7")

    assert answer.status_code in (302, 403)
    store.refresh_from_db()
    assert store.password == ""


def test_the_list_asks_the_database_as_often_for_many_as_for_one(
    manager, django_assert_max_num_queries
):
    clerks = [make_user("Store staff") for _ in range(3)]
    for _ in range(20):
        make_store(*clerks)

    with django_assert_max_num_queries(8):
        page = manager.get(url("changelist"))

    assert [store.people for store in page.context["cl"].result_list] == [3] * 20
