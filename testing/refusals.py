"""What content policies refused in the browsers that tests open.

By itself, so that pytest can look at it without loading a browser's driver.
"""

_found: list[str] = []


def note(text: str) -> None:
    _found.append(text)


def take() -> list[str]:
    """What was refused since the last look."""
    taken = _found[:]
    _found.clear()
    return taken
