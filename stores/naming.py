"""What people are called where others read it."""

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy


def name_of(person: User | None) -> str:
    """A person as screens and records name them: the full name, else the user name."""
    return "" if person is None else person.get_full_name() or person.get_username()


# The groups of couponadmin/migrations/0001_groups.py, whose names stand in the database.
ROLES = {
    "Manager": gettext_lazy("Manager"),
    "Editor": gettext_lazy("Editor"),
    "Viewer": gettext_lazy("Viewer"),
    "Store staff": gettext_lazy("Store staff"),
}


def role_words(name: str) -> str:
    """A group's name in the reader's language; one that a shop made stays as it is."""
    return str(ROLES.get(name, name))
