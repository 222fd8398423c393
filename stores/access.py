"""Who may act for which store, and for whom. Views get stores only through here."""

from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest

from stores.models import Store


class StaffRequest(HttpRequest):
    """A request of somebody signed in, with the name that the middleware gave it."""

    user: User
    request_id: str


def stores_for(user: User) -> QuerySet[Store]:
    """The open stores this person may work for; a superuser may for all."""
    stores = Store.objects.filter(is_active=True)
    return stores if user.is_superuser else stores.filter(staff=user)


def access_store(user: User, store_id: int) -> Store:
    """The store, or the same 404 whether it is missing or someone else's."""
    store = stores_for(user).filter(pk=store_id).first()
    if store is None:
        raise Http404
    return store


def may_manage(user: User | AnonymousUser, person: User) -> bool:
    """Whether `person` may do nothing that `user` may not.

    Else changing the other's password would be a way up. What a switched-off person
    may do counts too: they can be switched on again.
    """
    if user.is_superuser or person.is_superuser:
        return user.is_superuser
    theirs = Permission.objects.filter(Q(user=person) | Q(group__user=person))
    return user.get_all_permissions() >= names_of(theirs)


def grantable_groups(user: User | AnonymousUser) -> QuerySet[Group]:
    """The groups that allow nothing beyond what `user` may do."""
    own = user.get_all_permissions()
    above = [
        group.pk
        for group in Group.objects.all()
        if not own >= names_of(group.permissions.all())
    ]
    return Group.objects.exclude(pk__in=above)


def names_of(permissions: QuerySet[Permission]) -> set[str]:
    pairs = permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in pairs}
