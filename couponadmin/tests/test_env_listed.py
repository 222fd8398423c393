"""Each value from outside is written down where people look for it."""

import ast
import re

import pytest

from run import ROOT

READERS = [
    "couponadmin/settings.py",
    "couponadmin/example.py",
    "gunicorn.conf.py",
    "sandbox/__main__.py",
]


def variables_read(source):
    """Names given to env.str("NAME", ...), env.get("NAME") and os.environ.get("NAME")."""
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and re.fullmatch(r"env|os\.environ", ast.unparse(call.func.value))
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def variables_in_example():
    text = (ROOT / ".env.example").read_text()
    return set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))


@pytest.mark.parametrize("reader", READERS)
def test_env_example_lists_every_variable_that_is_read(reader):
    read = variables_read((ROOT / reader).read_text())

    assert read - variables_in_example() == set()
    assert read, "nothing found: the test looks for the wrong thing"


def test_readme_lists_every_setting():
    readme = (ROOT / "README.md").read_text()
    read = variables_read((ROOT / "couponadmin/settings.py").read_text())

    assert {name for name in read if f"`{name}`" not in readme} == set()


def test_env_example_gives_no_secret():
    text = (ROOT / ".env.example").read_text()

    for name in ("SECRET_KEY", "FIELD_KEYS", "POSTGRES_PASSWORD", "SITE_URL"):
        assert re.search(rf"^{name}=$", text, re.MULTILINE)


def test_a_variable_that_is_not_listed_is_found():
    source = (
        'X = env.int(\n    "NOT_LISTED", default=1)\nY = f"{env.str(\'NOR_THIS\')}"'
    )

    assert variables_read(source) == {"NOT_LISTED", "NOR_THIS"}
