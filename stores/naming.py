"""What people are called where others read it."""

from django.contrib.auth.models import User


def name_of(person: User | None) -> str:
    """A person as screens and records name them: the full name, else the user name."""
    return "" if person is None else person.get_full_name() or person.get_username()
