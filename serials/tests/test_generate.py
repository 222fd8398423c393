"""Generating serials: the service, the worker, and the screen."""

import functools
import html
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from serials import importing, services
from serials.errors import ImportRefused, LeaseLost, OutOfStock
from serials.models import Batch, Serial
from serials.steps import LEASE
from serials.tasks import work
from serials.tests.files import codes
from testing.factories import make_campaign, make_fixed_batch, make_serials, make_user
from testing.races import Elsewhere

pytestmark = pytest.mark.django_db
State = Batch.State
CLEAR = "[2-9A-HJ-NP-Z]"


@pytest.fixture
def small_blocks(settings):
    """Three codes a commit, so that a small batch takes several."""
    settings.IMPORT_BLOCK = 3


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Nobody signs in by one here, and a good hash takes long on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def generate(
    campaign=None, *, pattern="A-########", quantity=10, alphabet="clear", by=None
):
    return services.generate(
        campaign or make_campaign(barcode="none"),
        pattern=pattern,
        quantity=quantity,
        alphabet=alphabet,
        name="",
        by=by,
    )


def small(campaign, wanted, **fields):
    """A batch of a pattern so small that the service would refuse it."""
    return Batch.objects.create(
        campaign=campaign,
        name="small",
        kind=Batch.Kind.GENERATED,
        state=State.IMPORTING,
        **{"pattern": "##", "alphabet": "digits", "wanted": wanted} | fields,
    )


def work_off(batch, seconds=20):
    while importing.run(batch.pk, seconds=seconds):
        pass
    batch.refresh_from_db()


def later():
    return timezone.now() + timedelta(seconds=60)


def assert_exact(batch, shape=rf"A-{CLEAR}{{8}}"):
    """A ready batch has as many serials as were wanted, each different, of its shape."""
    found = codes(batch)
    assert batch.state == State.READY
    assert batch.new == batch.total == batch.wanted == len(set(found)) == len(found)
    assert all(re.fullmatch(shape, code) for code in found)
    places = set(Serial.objects.filter(batch=batch).values_list("pos", flat=True))
    assert len(places) == batch.wanted
    assert 1 <= min(places) <= max(places) <= batch.done_to


# --- The service and the worker ---------------------------------------------------


def test_what_was_wanted_becomes_stock():
    batch = generate(quantity=25)

    work(batch.pk)

    batch.refresh_from_db()
    assert_exact(batch)
    assert batch.ready_at is not None
    assert batch.name == "A-########"
    [ready] = services.ready_batches(batch.campaign_id)
    taken = services.take_serial([ready], at=timezone.now())
    assert taken.serial.code == codes(batch)[0]


def test_nobody_gets_one_before_all_are_there(small_blocks):
    batch = generate()

    assert importing.run(batch.pk, seconds=0)

    assert len(codes(batch)) == 3
    with pytest.raises(OutOfStock):
        services.take_serial(
            services.ready_batches(batch.campaign_id), at=timezone.now()
        )


def test_codes_that_the_campaign_has_are_made_anew_until_all_are_there(settings):
    settings.IMPORT_BLOCK = 4
    campaign = make_campaign(barcode="none")
    make_serials(campaign, [f"{n:02}" for n in range(40)])
    make_fixed_batch(campaign, code="99")
    make_serials(make_campaign(), ["50", "51"])

    batch = small(campaign, wanted=59)
    work_off(batch)

    assert_exact(batch, r"\d\d")
    assert set(codes(batch)) == {f"{n:02}" for n in range(40, 99)}


def test_a_pattern_with_nothing_left_stops_and_says_so():
    campaign = make_campaign(barcode="none")
    make_serials(campaign, [f"{n:02}" for n in range(100)])
    # As after very many draws for nothing.
    batch = small(campaign, wanted=1, done_to=10_020)

    work_off(batch)

    assert (batch.state, batch.done_to) == (State.REFUSED, 0)
    assert "nearly all serials of this pattern already" in batch.problem
    assert not codes(batch)


def test_it_goes_on_from_where_it_was(small_blocks):
    batch = generate()
    seen = []

    while importing.run(batch.pk, seconds=0):
        batch.refresh_from_db()
        seen.append((batch.new, len(codes(batch))))

    batch.refresh_from_db()
    assert seen == [(3, 3), (6, 6), (9, 9), (10, 10)]
    assert_exact(batch)


def test_the_next_worker_takes_over_from_one_that_died(small_blocks):
    batch = generate()
    importing.run(batch.pk, seconds=0)
    # Killed at the start of its next block: the lease stays, nothing else.
    held = timezone.now() + LEASE
    Batch.objects.filter(pk=batch.pk).update(leased_until=held)

    assert not importing.run(batch.pk)
    importing.run(batch.pk, clock=later)

    batch.refresh_from_db()
    assert_exact(batch)


def test_a_worker_whose_lease_went_makes_nothing_more(small_blocks):
    batch = generate()
    late = importing._claim(batch.pk, timezone.now)
    importing.run(batch.pk, clock=later)

    with pytest.raises(LeaseLost):
        importing._bring(late, float("inf"), timezone.now)

    batch.refresh_from_db()
    assert_exact(batch)


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_cancel_gives_everything_back(small_blocks, blocks):
    campaign = make_campaign(barcode="none")
    make_serials(campaign, ["07", "OLD"])
    batch = small(campaign, wanted=30)
    for _ in range(blocks):
        importing.run(batch.pk, seconds=0)

    services.cancel(Batch.objects.get(pk=batch.pk))
    work_off(batch, seconds=0)

    assert (batch.state, batch.done_to) == (State.CANCELLED, 0)
    assert set(Serial.objects.values_list("code", flat=True)) == {"07", "OLD"}
    again = small(campaign, wanted=30)
    work_off(again)
    assert_exact(again, r"\d\d")


def test_a_cancel_beside_a_worker_stops_it_at_its_next_block(small_blocks):
    batch = generate()
    at_work = importing._claim(batch.pk, timezone.now)

    services.cancel(Batch.objects.get(pk=batch.pk))

    with pytest.raises(LeaseLost):
        importing._bring(at_work, float("inf"), timezone.now)
    assert not Serial.objects.exists()


@pytest.mark.parametrize(
    ("is_case_sensitive", "start"), [(True, "Spring-"), (False, "spring-")]
)
def test_keys_are_compared_as_the_campaign_says(is_case_sensitive, start):
    campaign = make_campaign(barcode="none", is_case_sensitive=is_case_sensitive)
    batch = generate(campaign, pattern="Spring-########")

    work(batch.pk)

    for serial in Serial.objects.all():
        assert serial.code.startswith("Spring-")
        assert serial.code_key == start + (
            serial.code[7:] if is_case_sensitive else serial.code[7:].lower()
        )


def test_a_barcode_that_cant_draw_them_refuses_at_once_or_at_the_end(small_blocks):
    campaign = make_campaign(barcode="code39")
    with pytest.raises(ImportRefused, match="CODE_39 cannot draw “p”"):
        generate(campaign, pattern="Sp-########")
    upper = generate(campaign)
    work_off(upper)
    assert (upper.fits_code39, upper.fits_code128) == (True, True)

    other = make_campaign(barcode="none")
    lower = generate(other, pattern="a-########")
    assert (lower.fits_code39, lower.fits_code128) == (False, True)
    importing.run(lower.pk, seconds=0)
    other.barcode = "code39"
    other.save()
    work_off(lower)

    assert lower.state == State.REFUSED
    assert "barcode was changed" in lower.problem
    assert not codes(lower)


def test_one_code_in_many_that_is_too_wide_is_enough_to_refuse():
    campaign = make_campaign(barcode="code128")

    # Fits with a letter before 1234; a digit there takes one symbol more.
    with pytest.raises(ImportRefused, match="too long for a linear barcode"):
        generate(campaign, pattern="A" * 15 + "########1234")

    assert not generate(pattern="A" * 15 + "########1234").fits_code128
    assert generate(campaign, pattern="A" * 14 + "########1234").fits_code128


def test_a_fixed_serial_that_slipped_in_beside_a_block_stops_it(small_blocks):
    campaign = make_campaign(barcode="none")
    batch = small(campaign, wanted=20)
    importing.run(batch.pk, seconds=0)
    make_fixed_batch(campaign, code=codes(batch)[0])

    work_off(batch)

    assert batch.state == State.REFUSED
    assert "Generate them again" in batch.problem
    assert not codes(batch)


TOO_LONG = "A" * 56 + "#" * 9


@pytest.mark.parametrize(
    ("how", "field", "words"),
    [
        ({"quantity": 0}, "quantity", "1 to 1,000,000"),
        ({"quantity": -1}, "quantity", "1 to 1,000,000"),
        ({"quantity": 1_000_001}, "quantity", "1 to 1,000,000"),
        ({"quantity": 10**30}, "quantity", "1 to 1,000,000"),
        ({"alphabet": "emoji"}, "alphabet", "from the list"),
        ({"pattern": ""}, "pattern", "Write a #"),
        ({"pattern": "SPRING"}, "pattern", "make a fixed serial"),
        ({"pattern": TOO_LONG}, "pattern", "at most 64"),
        ({"pattern": "A\0########"}, "pattern", "plain letters"),
        ({"pattern": "A\n########"}, "pattern", "plain letters"),
        ({"pattern": "A ########"}, "pattern", "no blanks"),
        ({"pattern": "🎁########"}, "pattern", "plain letters"),
        ({"pattern": "桜########"}, "pattern", "plain letters"),
        ({"pattern": "=SUM########"}, "pattern", "for formulas"),
        ({"pattern": "###"}, "pattern", "2,979 tries"),
        ({"pattern": "###"}, "pattern", "Write # at least 5 times"),
        ({"pattern": "##", "quantity": 1_025}, "pattern", "only 1,024 different"),
        ({"pattern": "##", "quantity": 1_025}, "pattern", "Write # at least 6 times"),
        ({"pattern": "#######", "quantity": 10**6}, "pattern", "at least 8 times"),
    ],
)
def test_what_makes_no_good_serials_is_refused_with_what_to_do(how, field, words):
    with pytest.raises(ImportRefused) as refusal:
        generate(**how)

    assert refusal.value.field == field
    assert words in str(refusal.value)
    assert not Batch.objects.exists()


def test_full_width_and_invisible_characters_become_plain():
    batch = generate(pattern="\u200bＡ－####＃＃＃＃ ")

    work(batch.pk)

    batch.refresh_from_db()
    assert batch.pattern == "A-########"
    assert_exact(batch)


def test_serials_that_the_campaign_has_of_the_pattern_make_guessing_easier():
    campaign = make_campaign(barcode="none", is_case_sensitive=False)
    first = generate(campaign, quantity=800_000)

    with pytest.raises(ImportRefused, match="has 800,000 serials of this pattern"):
        generate(campaign, pattern="a-########", quantity=800_000)

    generate(campaign, pattern="a-#########", quantity=800_000)
    generate(campaign, quantity=1, alphabet="letters")
    generate(quantity=800_000)
    services.cancel(first)
    generate(campaign, pattern="a-########", quantity=800_000)


def test_capitals_that_differ_make_another_pattern():
    campaign = make_campaign(barcode="none", is_case_sensitive=True)
    generate(campaign, quantity=800_000)

    generate(campaign, pattern="a-########", quantity=800_000)

    assert Batch.objects.count() == 2


def test_an_ended_campaign_gets_none():
    loaded = make_campaign()
    type(loaded).objects.filter(pk=loaded.pk).update(state="ended")

    with pytest.raises(ImportRefused, match="has ended") as refusal:
        generate(loaded)

    assert refusal.value.field == "campaign"


def test_nobody_makes_more_batches_a_day_than_one_can_mean(settings):
    settings.IMPORTS_A_DAY = 2
    person = make_user("Editor")
    generate(by=person), generate(by=person)

    with pytest.raises(ImportRefused, match="2 batches within 24 hours"):
        generate(by=person)

    generate(by=make_user("Editor"))


def test_pressing_twice_makes_two_batches_one_after_the_other():
    campaign, person = make_campaign(barcode="none"), make_user("Editor")
    first, second = generate(campaign, by=person), generate(campaign, by=person)
    importing._claim(first.pk, timezone.now)

    assert not importing.run(second.pk)
    for batch in (first, second):
        importing.run(batch.pk, clock=later)

    for batch in (first, second):
        batch.refresh_from_db()
        assert_exact(batch)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_that_draw_from_the_same_codes_at_once_both_come_out_exact(settings):
    settings.IMPORT_BLOCK = 100
    for _ in range(2):
        campaign = make_campaign(barcode="none")
        batches = [small(campaign, wanted=450, pattern="###") for _ in range(2)]

        jobs = [Elsewhere(functools.partial(work_off, batch)) for batch in batches]

        assert [job.result() for job in jobs] == [None, None]
        for batch in batches:
            assert_exact(batch, r"\d{3}")
        assert Serial.objects.filter(campaign=campaign).count() == 900


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_many_workers_make_each_serial_once(settings):
    settings.IMPORT_BLOCK = 100
    batch = generate(quantity=1_500)

    def worker():
        for _ in range(20):
            importing.run(batch.pk, seconds=0)

    jobs = [Elsewhere(worker) for _ in range(4)]

    assert [job.result() for job in jobs] == [None] * 4
    work_off(batch)
    assert_exact(batch)


# --- The screen -------------------------------------------------------------------


def page(name, *args):
    return reverse(f"admin:serials_batch_{name}", args=args)


def text_of(response):
    return html.unescape(response.content.decode())


def filled_in(campaign=None, **fields):
    usual = {"quantity": "10", "pattern": "A-########", "alphabet": "clear"}
    return {"campaign": campaign.pk if campaign else "", **usual, **fields}


def error_at(response, field):
    """What stands under a field of the form."""
    slot = rf'id="id_{field}_error"[^>]*>([^<]*)</p>'
    return re.findall(slot, text_of(response))[0].strip()


def samples_in(text):
    return re.findall(r'<li class="bo-mono">([^<]*)</li>', text)


def test_from_the_form_to_stock(editor, small_blocks):
    campaign = make_campaign()

    answer = editor.post(page("generate"), filled_in(campaign, name="April"))

    batch = Batch.objects.get()
    progress = page("progress", batch.pk)
    assert answer.url == progress
    importing.run(batch.pk, seconds=0)
    shown = text_of(editor.get(progress))
    for words in ("being made", "A-########", "10 serials of the pattern", "Cancel"):
        assert words in shown
    assert editor.get(page("state", batch.pk)).json() == {
        "state": "importing",
        "done": 3,
        "total": 10,
        "is_working": True,
    }

    work(batch.pk)

    shown = text_of(editor.get(progress))
    assert "10 serials are ready to be given out" in shown
    assert f"{page('generate')}?campaign={campaign.pk}" in shown
    for words in ("Rows in the file", " rows", "Duplicate", "Imported", "file"):
        assert words not in re.sub("<[^>]*>", "", shown)
    batch.refresh_from_db()
    assert_exact(batch)
    assert (batch.name, batch.created_by is None) == ("April", False)


def test_what_runs_ahead_in_drawing_doesnt_run_ahead_in_the_bar(editor):
    batch = small(make_campaign(), wanted=60, new=59, done_to=468)

    state = editor.get(page("state", batch.pk)).json()

    assert (state["done"], state["total"]) == (59, 60)


def test_a_cancelled_one_can_be_generated_again_as_it_was(editor):
    campaign = make_campaign(barcode="none")
    batch = generate(campaign, pattern="50%&+/#########", alphabet="letters")

    cancelled = text_of(editor.post(page("cancel", batch.pk), follow=True))
    link = re.search(r'href="([^"]*)">Generate again', cancelled)[1]
    again = editor.get(link).content.decode()

    assert "serials are as they were before" in cancelled
    assert 'value="50%&amp;+/#########"' in again
    assert 'value="10"' in again
    for value in (campaign.pk, "letters"):
        assert f'<option value="{value}" selected>' in again


def test_the_form_shows_samples_of_the_usual_pattern_before_anything(editor):
    shown = text_of(editor.get(page("generate")))

    samples = samples_in(shown)
    assert len(samples) == 3
    assert all(re.fullmatch(rf"{CLEAR}{{8}}", code) for code in samples)
    assert "1,099,511,627,776" in shown
    assert "Write how many you want" in shown


def test_show_samples_without_script_makes_nothing(editor):
    given = filled_in(make_campaign(), name="Kept", show="1")

    answer = editor.post(page("generate"), given)

    assert answer.status_code == 200
    shown = text_of(answer)
    assert [code[:2] for code in samples_in(shown)] == ["A-"] * 3
    assert "10 characters each, 8 of them random" in shown
    assert "at 20 tries a minute" in shown
    assert 'value="Kept"' in shown
    assert not Batch.objects.exists()


HOW_MANY = "Write a whole number from 1 to 1,000,000."


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("campaign", "", "Choose a campaign."),
        ("campaign", "x", "still going"),
        ("quantity", "", HOW_MANY),
        ("quantity", "0", HOW_MANY),
        ("quantity", "-1", HOW_MANY),
        ("quantity", "1000001", HOW_MANY),
        ("quantity", "NaN", HOW_MANY),
        ("quantity", "1e6", HOW_MANY),
        ("quantity", "9" * 5_000, HOW_MANY),
        ("alphabet", "emoji", "from the list"),
        ("pattern", "", "Write a pattern"),
        ("pattern", "SPRING", "make a fixed serial"),
        ("pattern", "A-##", "at least 5 times"),
        ("pattern", "a-########", "CODE_39 cannot draw “a”"),
        ("pattern", "A" * 20 + "########", "too long for a linear barcode"),
        ("pattern", TOO_LONG, "at most 64"),
        ("pattern", "#" * 500, "at most 64"),
        ("pattern", "A\0########", "Null characters"),
        ("pattern", "🎁########", "plain letters"),
        ("pattern", "=SUM########", "for formulas"),
        ("name", "x" * 101, "at most 100"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_the_rest_is_kept(
    editor, field, value, words
):
    campaign = make_campaign(barcode="code39")

    answer = editor.post(page("generate"), filled_in(campaign) | {field: value})

    assert answer.status_code == 400
    assert words in error_at(answer, field)
    others = {"campaign", "quantity", "pattern", "alphabet", "name"} - {field}
    assert {error_at(answer, other) for other in others} == {""}
    kept = {"quantity": 'value="10"', "pattern": 'value="A-########"'}
    assert all(part in text_of(answer) for name, part in kept.items() if name != field)
    assert not Batch.objects.exists()


@pytest.mark.parametrize("barcode", ["none", "code39", "code128"])
@pytest.mark.parametrize("quantity", [1, 1_000_000])
def test_the_samples_say_what_the_service_would(editor, barcode, quantity):
    campaign = make_campaign(barcode=barcode)
    for pattern in ("##", "A-#######", "a-########", "=#######", "桜####", "#" * 24):
        given = filled_in(campaign, pattern=pattern, quantity=str(quantity))

        answer = editor.get(page("samples"), given).json()

        try:
            generate(campaign, pattern=pattern, quantity=quantity)
            refusal = {}
        except ImportRefused as problem:
            refusal = {problem.field: str(problem)}
        assert answer["errors"] == refusal
        is_easy = any(words in str(refusal) for words in ("only", "guessed"))
        assert (": refused" in answer["panel"]) == is_easy
        has_samples = bool(samples_in(answer["panel"]))
        is_told = "They are refused" in answer["panel"]
        assert is_told == (has_samples and bool(refusal))


def test_the_samples_count_what_the_campaign_has_of_the_pattern(editor):
    campaign = make_campaign(barcode="none")
    generate(campaign, quantity=1_000_000)

    given = filled_in(campaign, quantity="1000000")
    answer = editor.get(page("samples"), given).json()

    assert (
        "has 1,000,000 serials of this pattern already" in answer["errors"]["pattern"]
    )
    assert "Too easy: refused" in answer["panel"]


def test_samples_come_before_the_rest_is_filled_in(editor):
    answer = editor.get(page("samples"), {"pattern": "A-####", "alphabet": "digits"})

    found = samples_in(answer.json()["panel"])
    assert all(re.fullmatch(r"A-\d{4}", code) for code in found)
    assert set(answer.json()["errors"]) == {"campaign", "quantity", "pattern"}


def test_asking_for_samples_writes_nothing(editor):
    given = filled_in(make_campaign())

    with CaptureQueriesContext(connection) as asked:
        answer = editor.get(page("samples"), given)

    assert "no-store" in answer["Cache-Control"]
    assert {query["sql"].split()[0] for query in asked} == {"SELECT"}
    assert len(asked) < 12


@pytest.mark.parametrize(
    "query",
    [
        "",
        "pattern=" + "%23" * 3_000,
        "pattern=%ED%A0%80%23&alphabet=digits",
        "pattern=%23%23&alphabet=" + "x" * 3_000,
        "campaign=1e999&quantity=Infinity&pattern=%25s%23&alphabet=clear",
        "campaign[]=1&quantity=1&quantity=2",
        "quantity=" + "9" * 6_000 + "&pattern=%23&alphabet=clear",
    ],
)
def test_junk_gets_words_and_no_error(editor, query):
    answer = editor.get(f"{page('samples')}?{query}")

    assert answer.status_code == 200
    assert answer.json()["errors"]
    assert editor.get(f"{page('generate')}?{query}").status_code == 200


def test_what_stands_in_a_pattern_is_only_text_on_the_page(editor):
    given = filled_in(make_campaign(barcode="none"), pattern="<b>&'\"########")

    answer = editor.get(page("samples"), given).json()

    assert "&lt;b&gt;&amp;&#x27;&quot;" in answer["panel"]
    assert "<b>" not in answer["panel"]


def test_who_may_not_add_batches_generates_none(client):
    given = filled_in(make_campaign())
    client.force_login(make_user("Viewer"))
    for name in ("generate", "samples"):
        assert client.get(page(name), given).status_code == 403
    assert client.post(page("generate"), given).status_code == 403
    client.force_login(make_user("Store staff"))
    assert client.post(page("generate"), given).status_code == 302

    assert not Batch.objects.exists()


def test_looking_makes_nothing(editor):
    given = filled_in(make_campaign())

    assert editor.get(page("generate"), given).status_code == 200
    assert editor.post(page("samples"), given).status_code == 405

    assert not Batch.objects.exists()


def test_lists_and_campaigns_lead_to_the_form(editor):
    campaign = make_campaign()
    batch = generate(campaign)

    shown = text_of(editor.get(page("changelist")))
    assert page("generate") in shown
    assert "being made" in shown
    panel = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    assert f"{page('generate')}?campaign={campaign.pk}" in text_of(editor.get(panel))
    assert page("progress", batch.pk) in shown
