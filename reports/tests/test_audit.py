"""The nightly audit, the command, and what people are told."""

import json
import logging
from datetime import date, timedelta
from io import StringIO
from threading import Event as Flag
from threading import Thread

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.urls import reverse
from django.utils import timezone

from contacts.models import Contact
from coupons.models import Coupon
from coupons.services import redeem, revoke, undo, verify
from reports.auditing import (
    LEASE,
    MOST_TRIES,
    audit_night,
    due,
    last_audit,
    next_start,
    tell_broken,
    tell_unfinished,
)
from reports.ledger import CHECKS, NAMES, find_breaks, patience
from reports.models import Audit
from reports.tests.ledgers import make_ledger
from serials.models import Serial, Stock
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db

NIGHT = instant("2026-11-21 03:30")


def at(moment):
    return lambda: moment


def audit_ledger(*args, **options):
    """The command's output and its exit code."""
    out = StringIO()
    try:
        call_command("audit_ledger", *args, stdout=out, **options)
    except SystemExit as ended:
        return out.getvalue(), ended.code
    return out.getvalue(), 0


def break_stock():
    """The simplest break there is; its batch."""
    batch = make_fixed_batch(make_campaign())
    Stock.objects.filter(batch=batch).update(taken=7)
    return batch


# --- the command ----------------------------------------------------------------------


def test_an_empty_house_is_whole():
    assert audit_ledger() == (f"{len(NAMES)} checks, no break\n", 0)


def test_a_break_is_named_with_its_rows_and_ends_with_1():
    batch = break_stock()

    output, code = audit_ledger()

    assert code == 1
    assert output.splitlines() == [
        "stock_count: 1",
        f"  {CHECKS['stock_count'].what}",
        f"  - batch {batch.pk}: 7 counted, 0 given out (campaign {batch.campaign_id})",
        "What to do: docs/ledger.md, “On a break”.",
    ]


@pytest.mark.parametrize(
    ("rows", "shown", "last"), [("2", 2, "  and 3 more"), ("0", 0, "  and 5 more")]
)
def test_so_many_rows_are_named_as_asked_for(rows, shown, last):
    for _ in range(5):
        break_stock()

    lines = audit_ledger("--rows", rows)[0].splitlines()

    assert lines[0] == "stock_count: 5"
    assert len([line for line in lines if line.startswith("  - ")]) == shown
    assert lines[-2] == last


def test_only_the_named_checks_are_made():
    break_stock()

    assert audit_ledger("--only", "tally") == ("1 checks, no break\n", 0)
    assert audit_ledger("--only", "tally", "--only", "stock_count")[1] == 1


def test_all_checks_are_listed():
    break_stock()

    output, code = audit_ledger("--list")

    assert output.split() == list(NAMES)
    assert code == 0


def test_an_unknown_check_is_refused_with_the_names_there_are():
    with pytest.raises(CommandError) as refusal:
        call_command("audit_ledger", "--only", "stok_count")

    assert refusal.value.returncode == 2
    assert "stok_count" in str(refusal.value)
    assert "stock_count" in str(refusal.value)


@pytest.mark.parametrize("rows", ["-1", "99999999"])
def test_a_senseless_number_of_rows_is_refused(rows):
    with pytest.raises(CommandError, match="--rows"):
        call_command("audit_ledger", f"--rows={rows}")


def test_each_break_is_one_line_in_the_log(caplog):
    break_stock()

    with caplog.at_level(logging.ERROR, "reports.auditing"):
        audit_ledger()

    [record] = caplog.records
    assert record.getMessage() == "ledger.break"
    assert (record.check, record.count) == ("stock_count", 1)


def test_nothing_that_is_secret_or_somebodys_name_is_told(caplog):
    make_ledger()
    Serial.objects.filter(state=1).update(state=2, taken_at=None)
    Coupon.objects.update(sent_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE deliveries_recipient SET outcome = 'unknown'")
        cursor.execute("UPDATE coupons_contactuse SET used = 0")

    output, _code = audit_ledger("--rows", "100")
    audit_night(clock=at(NIGHT))

    report = json.dumps(Audit.objects.get().report)
    told = output + caplog.text + report + mail_text()
    assert output.count(" - ") > 20
    secret = [
        *Coupon.objects.values_list("token", flat=True),
        *Coupon.objects.values_list("number", flat=True),
        *Serial.objects.values_list("code", flat=True),
        *Contact.objects.exclude(name="").values_list("name", flat=True),
        *Contact.objects.values_list("line_user_id", flat=True),
        "ledger-clerk",
    ]
    assert [word for word in secret if word and word in told] == []


# --- the night ------------------------------------------------------------------------


def test_the_audit_is_due_from_half_past_three_until_six_in_the_houses_zone(settings):
    settings.TIME_ZONE = "Asia/Tokyo"

    assert due(instant("2026-11-20 18:29")) is None
    assert due(instant("2026-11-20 18:30")) == date(2026, 11, 21)
    assert due(instant("2026-11-20 20:59")) == date(2026, 11, 21)
    assert due(instant("2026-11-20 21:00")) is None
    assert next_start(instant("2026-11-20 18:29")) == instant("2026-11-20 18:30")
    assert next_start(instant("2026-11-20 18:30")) == instant("2026-11-21 18:30")


def test_a_whole_ledger_is_noted_and_nobody_is_mailed():
    make_user(is_superuser=True, email="boss@example.com")

    audit_night(clock=at(NIGHT))

    audit = Audit.objects.get()
    assert (audit.night, audit.started_at) == (date(2026, 11, 21), NIGHT)
    assert (audit.checks, audit.breaks, audit.report) == (len(NAMES), 0, [])
    assert audit.ended_at == NIGHT
    assert mail.outbox == []


def mail_text():
    return "".join(f"{message.subject} {message.body}" for message in mail.outbox)


def test_a_break_is_kept_and_mailed_once(settings):
    settings.ALERT_EMAILS = ["a@example.com", "b@example.com"]
    batch = break_stock()

    audit_night(clock=at(NIGHT))
    audit_night(clock=at(NIGHT + timedelta(minutes=5)))

    audit = Audit.objects.get()
    assert audit.breaks == 1
    [found] = audit.report
    assert (found["check"], found["count"]) == ("stock_count", 1)
    message, other = mail.outbox
    assert (message.to, other.to) == (["a@example.com"], ["b@example.com"])
    assert "1 break" in message.subject
    for said in (
        str(CHECKS["stock_count"].what),
        f"batch {batch.pk}: 7 counted",
        "Pause the campaigns",
        "python manage.py audit_ledger",
        "docs/ledger.md",
    ):
        assert said in message.body


def test_a_bad_address_keeps_the_mail_from_nobody_else(settings):
    settings.ALERT_EMAILS = ["a@example.com;b@example.com", "c@example.com"]
    break_stock()

    audit_night(clock=at(NIGHT))

    assert ["c@example.com"] in [message.to for message in mail.outbox]
    assert Audit.objects.get().mailed_at


def test_what_could_not_be_mailed_is_mailed_by_a_later_sweep(settings):
    settings.ALERT_EMAILS = ["a@example.com"]
    was = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens there
    break_stock()
    audit_night(clock=at(NIGHT))
    untold = Audit.objects.get().mailed_at
    settings.EMAIL_BACKEND = was

    tell_broken(NIGHT + timedelta(minutes=1))
    too_soon = len(mail.outbox)
    for _ in range(2):
        tell_broken(NIGHT + LEASE)

    assert (untold, too_soon) == (None, 0)
    assert len(mail.outbox) == 1
    assert Audit.objects.get().mailed_at


def test_a_night_that_went_by_without_an_audit_is_made_good_in_the_day():
    audit_night(clock=at(NIGHT))
    noon = NIGHT.replace(hour=12)

    assert audit_night(clock=at(noon)) is None
    assert audit_night(clock=at(noon + timedelta(days=1))) is None
    assert audit_night(clock=at(noon + timedelta(days=2))) is not None
    assert Audit.objects.count() == 2


def test_without_addresses_the_active_superusers_are_told(settings):
    settings.ALERT_EMAILS = []
    make_user(is_superuser=True, email="boss@example.com")
    make_user(is_superuser=True, email="gone@example.com", is_active=False)
    make_user(is_superuser=True)
    make_user("Manager", email="manager@example.com")
    break_stock()

    audit_night(clock=at(NIGHT))

    [message] = mail.outbox
    assert message.to == ["boss@example.com"]


def test_with_nobody_to_tell_the_log_says_so(caplog):
    break_stock()

    audit_night(clock=at(NIGHT))

    assert "ledger.nobody_to_mail" in caplog.messages
    assert Audit.objects.get().breaks == 1


def test_a_mail_that_cannot_be_sent_leaves_the_audit_as_it_is(settings, caplog):
    settings.ALERT_EMAILS = ["a@example.com"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    break_stock()

    audit_night(clock=at(NIGHT))

    assert "ledger.not_mailed" in caplog.messages
    assert Audit.objects.get().ended_at is not None


def test_a_second_audit_returns_while_the_first_is_at_it():
    Audit.objects.create(
        night=NIGHT.date(), started_at=NIGHT, leased_until=NIGHT + LEASE
    )

    assert audit_night(clock=at(NIGHT + timedelta(minutes=1))) is None

    assert Audit.objects.get().ended_at is None


def test_an_audit_whose_worker_was_killed_is_taken_over_after_its_lease(settings):
    settings.ALERT_EMAILS = ["a@example.com"]
    Audit.objects.create(
        night=NIGHT.date(), started_at=NIGHT, leased_until=NIGHT + LEASE
    )
    break_stock()

    audit_night(clock=at(NIGHT + LEASE))

    audit = Audit.objects.get()
    assert audit.ended_at == NIGHT + LEASE
    assert (audit.tries, audit.breaks) == (2, 1)
    assert len(mail.outbox) == 1


def test_who_was_taken_over_stops_and_tells_nobody(settings):
    settings.ALERT_EMAILS = ["a@example.com"]
    break_stock()
    asked = []

    def clock():
        """Somebody takes over in the middle of the checks."""
        asked.append(1)
        if len(asked) == 20:
            Audit.objects.update(tries=2)
        return NIGHT

    assert audit_night(clock=clock) is None

    assert Audit.objects.get().ended_at is None
    assert mail.outbox == []


def test_an_audit_that_fails_is_free_to_be_tried_again():
    Audit.objects.all().delete()
    asked = []

    def clock():
        asked.append(1)
        if len(asked) == 6:
            raise OperationalError("the database went away")
        return NIGHT

    with pytest.raises(OperationalError):
        audit_night(clock=clock)

    assert Audit.objects.get().leased_until == NIGHT
    assert audit_night(clock=at(NIGHT)).tries == 2


def test_no_more_than_three_tries_are_made_and_then_people_are_told_once(settings):
    settings.ALERT_EMAILS = ["a@example.com"]
    Audit.objects.create(
        night=NIGHT.date(), started_at=NIGHT, leased_until=NIGHT, tries=MOST_TRIES
    )

    assert audit_night(clock=at(NIGHT)) is None
    tell_unfinished(NIGHT)
    tell_unfinished(NIGHT)

    [message] = mail.outbox
    assert "did not finish" in message.subject


def test_an_audit_of_last_night_that_never_ended_is_told_of(settings, caplog):
    settings.ALERT_EMAILS = ["a@example.com"]
    Audit.objects.create(night=NIGHT.date(), started_at=NIGHT, leased_until=NIGHT)

    tell_unfinished(NIGHT)
    assert mail.outbox == []  # it will be taken over
    tell_unfinished(NIGHT + timedelta(days=1))

    assert len(mail.outbox) == 1
    assert "ledger.unfinished" in caplog.messages


@pytest.mark.postgres
def test_the_session_gets_its_own_bounds_back():
    def bounds():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), "
                "current_setting('work_mem'), current_setting('jit')"
            )
            return cursor.fetchone()

    before = bounds()
    with patience():
        assert bounds() == ("0", "64MB", "off")
    assert bounds() == before
    assert before[0] != "0"

    with pytest.raises(ZeroDivisionError), patience():
        raise ZeroDivisionError
    assert bounds() == before


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_busy_house_never_looks_broken():
    clerk = make_user("Store staff")
    store = make_store(clerk)
    account = make_connection()
    campaign = make_campaign(limit_per_contact=0)
    make_serials(campaign, 40)
    make_fixed_batch(campaign, quantity=200, position=1)
    contact = make_contact(account)
    is_over = Flag()
    failed = []

    def work(number):
        try:
            for turn in range(12):
                coupon = make_coupon(campaign, contact, status="sent")
                redeem(coupon.token, source=TEST)
                record = verify(coupon.pk, store=store, staff=clerk)
                if (number + turn) % 2:
                    undo(record.pk, by=clerk, reason="again", is_manager=True)
                    revoke(coupon.pk, source=TEST, reason="lost")
        except Exception as error:  # noqa: BLE001 - the thread's end is looked at
            failed.append(error)
        finally:
            connections.close_all()

    threads = [Thread(target=work, args=(number,)) for number in range(4)]

    def wait():
        for thread in threads:
            thread.join()
        is_over.set()

    for thread in threads:
        thread.start()
    Thread(target=wait).start()
    looks = 0
    found = []
    while not is_over.is_set():
        found += find_breaks(now=timezone.now())
        looks += 1

    assert failed == []
    assert found == []
    assert looks > 1
    assert find_breaks(now=timezone.now()) == []


# --- what managers see -----------------------------------------------------------------


@pytest.fixture
def manager(client):
    client.force_login(make_user("Manager"))
    return client


def overview(client):
    return client.get(reverse("admin:index")).content.decode()


def make_audit(**fields):
    now = timezone.now()
    given = {
        "night": now.date(),
        "started_at": now,
        "ended_at": now,
        "leased_until": now,
        "checks": len(NAMES),
    }
    return Audit.objects.create(**(given | fields))


def test_before_the_first_audit_the_overview_says_when_it_comes(manager):
    assert "The first time is" in overview(manager)
    assert "03:30" in overview(manager)


def test_the_overview_says_that_all_was_well(manager):
    make_audit()

    assert "no break" in overview(manager)


def test_the_overview_leads_to_what_was_found(manager):
    audit = make_audit(
        breaks=1,
        report=[
            {
                "check": "stock_count",
                "what": "It differs.",
                "count": 3,
                "rows": ["batch 4"],
            }
        ],
    )
    address = reverse("admin:reports_audit_change", args=[audit.pk])

    assert address in overview(manager)
    assert "1 break" in overview(manager)
    page = manager.get(address).content.decode()
    for said in ("stock_count", "It differs.", "batch 4"):
        assert said in page
    assert (
        "1 break"
        in manager.get(reverse("admin:reports_audit_changelist")).content.decode()
    )


def test_an_audit_under_way_hides_behind_the_last_one():
    yesterday = make_audit(night=date(2026, 11, 20))
    make_audit(
        night=date(2026, 11, 21),
        ended_at=None,
        leased_until=timezone.now() + LEASE,
    )

    assert last_audit(timezone.now()).audit == yesterday


def test_an_audit_that_did_not_finish_is_said_so():
    make_audit(ended_at=None)

    assert last_audit(timezone.now()).kind == "unfinished"


@pytest.mark.parametrize("role", ["Editor", "Viewer"])
def test_others_do_not_see_the_audits(client, role):
    client.force_login(make_user(role))
    audit = make_audit()

    assert "Ledger" not in overview(client)
    address = reverse("admin:reports_audit_change", args=[audit.pk])
    assert client.get(address).status_code == 403
    assert client.get(reverse("admin:reports_audit_changelist")).status_code == 403


def test_an_audit_cannot_be_changed_or_deleted(manager):
    audit = make_audit()

    change = reverse("admin:reports_audit_change", args=[audit.pk])
    delete = reverse("admin:reports_audit_delete", args=[audit.pk])

    assert manager.post(change, {"breaks": 0}).status_code == 403
    assert manager.post(delete, {"post": "yes"}).status_code == 403
    assert manager.get(reverse("admin:reports_audit_add")).status_code == 403
