"""The app that puts the others together."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from couponadmin import checks


class CouponadminConfig(AppConfig):
    name = "couponadmin"

    def ready(self) -> None:
        for check in checks.ALWAYS:
            register(check, Tags.security)
        for check in checks.DEPLOY:
            register(check, Tags.security, deploy=True)
