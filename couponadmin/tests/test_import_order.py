"""Who may import whom. The order is written here once; this reads every import."""

import ast
import graphlib

import pytest

from run import ROOT

# An app imports only apps that stand before it.
APPS = (
    "providers connections stores contacts campaigns serials coupons deliveries sync "
    "api reports couponadmin"
).split()
# Inside an app a module imports only from those before it; errors.py and modules that
# know no models (codes.py) are "plain", others without a name here "work"
# (importing.py).
MODULES = "plain models work tasks services forms admin views urls management".split()
NAMED = set(MODULES) - {"plain", "work"}
# Never imported by an app: they stand outside, or play somebody else.
OUTSIDE = {"sandbox", "testing", "benchmarks", "conftest", "run", "running", "manage"}


def problems(sources):
    """What is wrong in these sources (path -> text), one sentence for each import."""
    house = House(sources)
    return sorted(
        f"{house.paths[importer]}:{line}: {imported} {why}"
        for importer, imported, line, is_nested in house.imports
        if (why := house.objection(importer, imported, is_nested=is_nested))
    )


class House:
    """All modules and who imports what."""

    def __init__(self, sources):
        self.paths = {module_name(path): path for path in sources}
        self.imports = [
            (importer, imported, line, is_nested)
            for importer, path in self.paths.items()
            for imported, line, is_nested in self.imports_in(importer, sources[path])
        ]
        self.graph: dict[str, set[str]] = {name: set() for name in self.paths}
        for importer, imported, _, _ in self.imports:
            if imported in self.paths:
                self.graph[importer].add(imported)

    def imports_in(self, importer, text):
        tree = ast.parse(text)
        nested = {
            id(node)
            for outer in ast.walk(tree)
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            for node in ast.walk(outer)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for imported in self.names_in(importer, node):
                    yield imported, node.lineno, id(node) in nested

    def names_in(self, importer, node):
        """`from a import b` is the module a.b where there is one, else a."""
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        base = node.module or ""
        if node.level:
            is_package = self.paths[importer].endswith("__init__.py")
            above = importer.split(".")
            above = above[: len(above) - node.level + is_package]
            base = ".".join([*above, *filter(None, [node.module])])
        full = [f"{base}.{alias.name}" for alias in node.names]
        return [name if name in self.paths else base for name in full]

    def objection(self, importer, imported, *, is_nested):
        """Why this import may not be, or None."""
        if is_nested:
            return "is imported inside a function or class"
        app, other = app_of(importer), app_of(imported)
        if app == "sandbox":
            return (
                "is ours: the sandbox imports nothing of ours"
                if (other in APPS or other in OUTSIDE - {"sandbox"})
                else None
            )
        if other in OUTSIDE or ".tests" in imported:
            return "stands outside: no app imports it"
        if other not in APPS:
            return None
        if APPS.index(other) > APPS.index(app):
            return f"comes after {app}"
        if app == other != "couponadmin":
            return self.objection_inside(importer, imported)
        return None

    def objection_inside(self, importer, imported):
        mine, its = self.kind(importer), self.kind(imported)
        if mine is None or its is None or mine == its:
            return None
        if MODULES.index(its) > MODULES.index(mine):
            return f"({its}) comes after {importer} ({mine})"
        return None

    def kind(self, module):
        """Which of MODULES this is; None for the app itself."""
        parts = module.split(".")
        if len(parts) == 1:
            return None
        if parts[1] in NAMED:
            return parts[1]
        if parts[1].endswith("_urls"):
            return "urls"
        models = f"{parts[0]}.models"
        return "work" if self.reaches(module, models) else "plain"

    def reaches(self, module, goal):
        seen, waiting = set(), [module]
        while waiting:
            for imported in self.graph.get(waiting.pop(), ()):
                if imported not in seen and app_of(imported) == app_of(goal):
                    seen.add(imported)
                    waiting.append(imported)
        return goal in seen


def module_name(path):
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def app_of(module):
    return module.partition(".")[0]


def all_sources():
    paths = [
        path.relative_to(ROOT)
        for app in [*APPS, "sandbox"]
        for path in (ROOT / app).rglob("*.py")
    ]
    return {
        path.as_posix(): (ROOT / path).read_text()
        for path in paths
        if not {"tests", "migrations"} & set(path.parts)
        and path.as_posix() != "sandbox/testing.py"
    }


def test_every_import_follows_the_order():
    sources = all_sources()

    assert problems(sources) == []
    assert len(sources) > 60, "too few files read"


def test_no_modules_import_each_other_in_a_circle():
    list(graphlib.TopologicalSorter(House(all_sources()).graph).static_order())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("serials/models.py", "from coupons.models import Coupon"),
        ("serials/models.py", "import coupons.models"),
        ("providers/line.py", "from connections import models"),
        ("coupons/services.py", "from reports.numbers import stock"),
        ("contacts/models.py", "from contacts.services import block"),
        ("contacts/models.py", "from .services import block"),
        ("contacts/tasks.py", "from contacts import services"),
        ("contacts/importing.py", "from contacts.tasks import sweep"),
        ("contacts/forms.py", "from contacts.views import page"),
        ("contacts/views/page.py", "from contacts.urls import urlpatterns"),
        ("contacts/services.py", "def f():\n    from contacts.models import Contact"),
        ("contacts/services.py", "def f():\n    import json"),
        ("contacts/services.py", "from sandbox.testing import start_sandbox"),
        ("contacts/services.py", "from testing.factories import make_contact"),
        ("contacts/services.py", "from stores.tests.test_access import make"),
        ("contacts/services.py", "from run import ROOT"),
        ("sandbox/world.py", "from providers.errors import ProviderError"),
        ("sandbox/world.py", "import couponadmin.settings"),
    ],
)
def test_a_wrong_import_is_found(path, text):
    planted = SOUND | {path: text}

    assert [p for p in problems(planted) if p.startswith(f"{path}:")]


def test_models_may_use_a_plain_module_but_none_that_needs_models():
    plain = SOUND | {"contacts/models.py": "from contacts.codes import fold"}
    work = plain | {"contacts/codes.py": "from contacts.models import Contact"}

    assert problems(plain) == []
    assert problems(work) == [
        "contacts/models.py:1: contacts.codes (work) comes after contacts.models (models)"
    ]


def test_a_circle_is_found():
    circle = {"serials/a.py": "import serials.b", "serials/b.py": "import serials.a"}

    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter(House(circle).graph).static_order())


SOUND = {
    "contacts/__init__.py": "",
    "contacts/codes.py": "import re",
    "contacts/errors.py": "",
    "contacts/models.py": "from django.db import models",
    "contacts/importing.py": "from contacts.models import Contact",
    "contacts/tasks.py": "from contacts.importing import load",
    "contacts/services.py": "from contacts import tasks",
    "contacts/forms.py": "from contacts.services import block",
    "contacts/views/page.py": "from contacts.forms import ContactForm",
    "contacts/urls.py": "from contacts.views import page",
    "serials/models.py": "from contacts.models import Contact",
    "sandbox/world.py": "from sandbox.faults import FaultBook",
}


def test_sound_imports_are_left_alone():
    assert problems(SOUND) == []
