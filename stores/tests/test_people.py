"""People: who may change whom."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from stores.access import grantable_groups, may_manage
from testing.factories import make_store, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client):
    """A Manager, signed in."""
    user = make_user("Manager", username="boss")
    client.force_login(user)
    client.user = user
    return client


def url(name, *args):
    return reverse(f"admin:auth_user_{name}", args=args)


def form_of(user, **fields):
    return {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "groups": list(user.groups.values_list("pk", flat=True)),
        "storestaff_set-TOTAL_FORMS": "0",
        "storestaff_set-INITIAL_FORMS": "0",
    } | fields


def make_powerful(**fields):
    """Somebody in a group that may do more than a Manager."""
    group = Group.objects.create(name="Owners")
    group.permissions.set(Permission.objects.all())
    user = make_user(is_staff=True, **fields)
    user.groups.add(group)
    return user


def test_a_manager_adds_a_person_with_a_role(argon2, boss):
    role = Group.objects.get(name="Store staff")

    answer = boss.post(
        url("add"),
        {
            "username": "hana",
            "usable_password": "true",
            "password1": "umbrella-in-rain-7",
            "password2": "umbrella-in-rain-7",
            "groups": [role.pk],
            "storestaff_set-TOTAL_FORMS": "0",
            "storestaff_set-INITIAL_FORMS": "0",
        },
    )

    assert answer.status_code == 302
    hana = User.objects.get(username="hana")
    assert hana.check_password("umbrella-in-rain-7")
    assert hana.password.startswith("argon2$")
    assert list(hana.groups.all()) == [role]
    assert not hana.is_superuser


def test_a_manager_cannot_make_themselves_an_administrator(boss):
    answer = boss.post(
        url("change", boss.user.pk),
        form_of(
            boss.user,
            is_superuser="on",
            user_permissions=list(Permission.objects.values_list("pk", flat=True)),
        ),
    )

    assert answer.status_code == 302
    boss.user.refresh_from_db()
    assert not boss.user.is_superuser
    assert not boss.user.user_permissions.exists()


def test_a_manager_cannot_join_a_group_that_may_do_more(boss):
    owners = make_powerful().groups.get()

    page = boss.post(
        url("change", boss.user.pk), form_of(boss.user, groups=[owners.pk])
    )

    assert page.status_code == 200
    assert owners not in boss.user.groups.all()


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("kind", ["superuser", "owner"])
def test_a_manager_cannot_take_over_somebody_who_may_do_more(boss, kind, is_active):
    if kind == "superuser":
        target = make_user(is_superuser=True, is_staff=True, is_active=is_active)
    else:
        target = make_powerful(is_active=is_active)

    changed = boss.post(url("change", target.pk), form_of(target, username="mine"))
    password = boss.post(
        reverse("admin:auth_user_password_change", args=[target.pk]),
        {
            "usable_password": "true",
            "password1": "umbrella-in-rain-7",
            "password2": "umbrella-in-rain-7",
        },
    )
    deleted = boss.post(url("delete", target.pk), {"post": "yes"})

    assert {changed.status_code, password.status_code, deleted.status_code} == {403}
    target.refresh_from_db()
    assert target.check_password("pw-for-tests-only")
    assert target.username != "mine"


def test_an_administrator_may_all_that(client):
    admin = make_user(is_superuser=True, is_staff=True)
    client.force_login(admin)
    target = make_powerful()

    client.post(url("change", target.pk), form_of(target, is_superuser="on"))

    target.refresh_from_db()
    assert target.is_superuser


def test_a_manager_may_manage_roles_up_to_their_own():
    manager = make_user("Manager")

    names = {group.name for group in grantable_groups(manager)}

    assert names == {"Manager", "Editor", "Viewer", "Store staff"}
    assert may_manage(manager, make_user("Manager"))
    assert not may_manage(make_user("Editor"), manager)


@pytest.mark.parametrize("role", ["Editor", "Viewer", "Store staff"])
def test_others_do_not_see_people(client, role):
    client.force_login(make_user(role))

    assert client.get(url("changelist")).status_code in (302, 403)


def test_a_manager_does_not_edit_groups(boss):
    assert boss.get(reverse("admin:auth_group_changelist")).status_code == 403


def test_pages_ask_the_database_as_often_for_many_as_for_one(
    boss, django_assert_max_num_queries
):
    people = [make_user("Store staff") for _ in range(20)]
    make_store(*people)

    with django_assert_max_num_queries(12):
        page = boss.get(url("changelist"))

    assert page.status_code == 200
    assert "Store staff" in page.content.decode()
