"""`manage.py example_data`: a small shop to look at, once."""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser

from couponadmin.example import LOGINS, is_empty, make_example, password


class Command(BaseCommand):
    help = "Fills an empty database with a small example shop and prints its logins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--logins", action="store_true", help="only print the example's logins"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        secret = password()
        if not options["logins"]:
            if not is_empty():
                self.stdout.write("The database is in use already: nothing was added.")
                return
            secret = secret or secrets.token_urlsafe(9)
            make_example(secret)
        self.print_logins(secret)

    def print_logins(self, secret: str) -> None:
        """Each example person who still has the example's password."""
        for login in LOGINS:
            user = User.objects.filter(username=login.name, is_active=True).first()
            if user is None or not secret or not user.check_password(secret):
                continue
            where = settings.SITE_URL + login.place
            self.stdout.write(f"{login.role:<12} {login.name:<8} {secret:<14} {where}")
