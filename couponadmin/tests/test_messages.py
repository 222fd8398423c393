"""Every text stands translated in each language that its catalogue promises."""

import ast
import json
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template
from django.utils import translation
from django.utils.translation import to_locale, trans_real

from testing import messages

STAFF = [to_locale(code) for code in settings.STAFF_LANGUAGES if code != "en"]
PROMISED = [
    *(("customers", language) for language in messages.LANGUAGES["customers"]),
    *(("staff", language) for language in STAFF),
]
WRITTEN = [(name, code) for name, codes in messages.LANGUAGES.items() for code in codes]


@pytest.fixture(scope="module")
def texts():
    return messages.all_texts()


@pytest.mark.parametrize(("catalogue", "language"), PROMISED)
def test_the_catalogue_holds_what_the_code_says_and_nothing_else(
    texts, catalogue, language
):
    kept = messages.as_texts(messages.read(catalogue, language))
    found = texts[catalogue]

    assert sorted(found.keys() - kept.keys()) == [], "run: make messages"
    assert sorted(kept.keys() - found.keys()) == [], "run: make messages"
    assert {
        key for key in found if found[key].text.plural != kept[key].text.plural
    } == (set())


@pytest.mark.parametrize(("catalogue", "language"), PROMISED)
def test_every_text_is_translated_with_its_places_and_plurals(catalogue, language):
    catalog = messages.read(catalogue, language)

    wrong = {
        message.id: found
        for message in messages.messages_of(catalog)
        if (found := messages.faults(message, catalog.num_plurals))
    }

    assert wrong == {}


@pytest.mark.parametrize(("catalogue", "language"), WRITTEN)
def test_what_is_compiled_is_what_was_translated(catalogue, language):
    path = messages.po_path(catalogue, language)

    read = messages.read(catalogue, language)
    again = messages.renewed(messages.as_texts(read), read, language)

    compiled = path.with_suffix(".mo").read_bytes()
    assert compiled == messages.mo_bytes(again), "run: make messages"


def test_customers_can_read_every_language_that_they_can_choose():
    codes = {to_locale(code) for code, _ in settings.LANGUAGES if code != "en"}

    assert set(messages.LANGUAGES["customers"]) == codes
    assert set(STAFF) <= set(messages.LANGUAGES["staff"])


def test_no_file_calls_gettext_by_a_name_that_is_not_looked_for():
    names = {
        alias.asname or alias.name
        for path in messages.our_files()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "django.utils.translation"
        for alias in node.names
        if "gettext" in alias.name
    }

    assert names - messages.KEYWORDS.keys() == set()
    assert {"_", "ngettext"} <= names


TEMPLATE = """{% load i18n %}
  {% if a %}
{% translate "Plain" %} {% translate "50% off" as later %}
{% translate "Name" context "of a store" %}{{ _("In a filter") }}
    {% endif %}
{% blocktranslate trimmed with shop=b count n=c %}
   One coupon of {{ shop }},
   100% yours
{% plural %}
   {{ n }} coupons of {{ shop }}
{% endblocktranslate %}
{% blocktranslate context "a title" %}  It's
"so" {% endblocktranslate %}"""
PYTHON = """
words = _("Two halves "
    "of %(what)s"), ngettext("%(n)d try", "%(n)d tries", n)
pgettext("of a person", "Name"), gettext_now('Later'), f"{_('in braces')}"
"""


class Recording(trans_real.DjangoTranslation):
    """Notes what it is asked for."""

    def __init__(self):
        self.asked = set()

    def gettext(self, message):
        context, _, text = message.rpartition("\x04")
        self.asked.add((text, "", context))
        return message

    def ngettext(self, singular, plural, number):
        context, _, text = singular.rpartition("\x04")
        self.asked.add((text, plural.rpartition("\x04")[2], context))
        return singular

    def to_language(self):
        return "xx"


def found_in(tmp_path, name, source):
    path = tmp_path / name
    path.write_text(source)
    return {
        (text.singular, text.plural, text.context) for text in messages.texts_of(path)
    }


def test_a_templates_texts_are_found_as_django_looks_them_up(tmp_path):
    recording = Recording()
    active = trans_real._active  # type: ignore[attr-defined]
    active.value = recording
    try:
        Template(TEMPLATE).render(Context({"a": 1, "b": "x", "c": 1}))
    finally:
        del active.value

    found = found_in(tmp_path, "a.html", TEMPLATE)

    assert found == recording.asked
    assert ("50%% off", "", "") in found
    assert len(found) == 6


def test_a_modules_texts_are_found(tmp_path):
    assert found_in(tmp_path, "a.py", PYTHON) >= {
        ("Two halves of %(what)s", "", ""),
        ("%(n)d try", "%(n)d tries", ""),
        ("Name", "", "of a person"),
        ("Later", "", ""),
    }


@pytest.fixture
def empty(tmp_path):
    """A folder with a catalogue of three texts, none of them translated."""
    texts = [
        messages.Text("Hello %(name)s"),
        messages.Text("%(n)d try", "%(n)d tries"),
        messages.Text("Name", context="of a store"),
    ]
    found = {text.key: messages.Found(text, ["a.py"]) for text in texts}
    catalog = messages.renewed(found, messages.read("staff", "ja", tmp_path), "ja")
    messages.write("staff", "ja", catalog, tmp_path)
    return tmp_path


def hand_out(folder):
    file = folder / "todo.json"
    messages.todo("staff", "ja", file, 100, folder)
    return file, {row["text"]: row for row in json.loads(file.read_text())}


def test_what_is_handed_out_and_filled_in_is_taken_back(empty):
    file, rows = hand_out(empty)
    rows["Hello %(name)s"]["translation"] = "%(name)sさん"
    rows["%(n)d try"]["translation"] = ["%(n)d回"]
    rows["Name"]["translation"] = "店名"
    file.write_text(json.dumps(list(rows.values())))

    assert messages.take("staff", "ja", file, empty) == 0

    catalog = messages.read("staff", "ja", empty)
    assert list(messages.untranslated(catalog)) == []
    assert catalog.get("Name", "of a store").string == "店名"


def test_a_translation_that_lost_a_place_is_refused_and_the_others_are_taken(empty):
    file, rows = hand_out(empty)
    rows["Hello %(name)s"]["translation"] = "%(nom)sさん"
    rows["Name"]["translation"] = "店名"
    file.write_text(json.dumps([*rows.values(), {"text": "No", "translation": "x"}]))

    assert messages.take("staff", "ja", file, empty) == 2

    left = {m.id for m in messages.untranslated(messages.read("staff", "ja", empty))}
    assert left == {"Hello %(name)s", ("%(n)d try", "%(n)d tries")}


def test_a_text_that_stays_keeps_its_translation_and_one_that_goes_is_dropped(empty):
    catalog = messages.read("staff", "ja", empty)
    catalog.get("Hello %(name)s").string = "%(name)sさん"
    kept = messages.Text("Hello %(name)s")

    new = messages.renewed({kept.key: messages.Found(kept)}, catalog, "ja")

    assert [m.string for m in messages.messages_of(new)] == ["%(name)sさん"]


def test_both_catalogues_are_loaded():
    assert [Path(path).name for path in settings.LOCALE_PATHS] == ["customers", "staff"]
    with translation.override("ja"):
        assert translation.gettext("Redeem") == "引き換える"
