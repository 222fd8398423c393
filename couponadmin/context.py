"""What every template may show."""

from django.http import HttpRequest

from couponadmin.version import VERSION


def version(request: HttpRequest) -> dict[str, str]:
    return {"version": VERSION}
