"""What is asked of serials: hand one out, take in more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files import File
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns import look
from campaigns.models import Campaign, TotalLimit
from serials import storing
from serials.codes import ZERO_WIDTH, code_key, fits, is_unusable
from serials.errors import ImportRefused, OutOfStock, StockMoved
from serials.models import (
    CODE_LENGTH,
    FIXED_LENGTH,
    Batch,
    Serial,
    Stock,
    StockWatch,
)
from serials.patterns import ALPHABETS, FEWEST_TRIES, MARK, Pattern
from serials.reading import ENCODINGS, MAX_BYTES, PIECE, refuse_other_kinds
from serials.rows import built, built_or_none, columns_of, know, planned_once
from serials.steps import all_fit
from serials.tasks import work
from serials.waking import nudge

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

State = Batch.State
MAX_QUANTITY = 1_000_000
MAX_POSITION = 2_147_483_647
NO_COUNTS = {"new": 0, "duplicate": 0, "refused": 0}
NO_FITS = {"fits_code39": False, "fits_code128": False}


@dataclass(frozen=True)
class Taken:
    """What a coupon gets: a batch, and a serial of its own unless the text is fixed."""

    batch: Batch
    serial: Serial | None
    is_counted: bool  # a fixed batch with a quantity: `take_unit` is still due


def ready_batches(campaign_id: int) -> list[Batch]:
    """The campaign's whole batches in the marketer's order, stock and campaign with them.

    All of them share one campaign, which knows its limit in total. Only what a redeem
    looks at is read; the rest comes when somebody asks for it.
    """
    with planned_once() as cursor:
        cursor.execute(ready_sql(), [campaign_id])
        rows = cursor.fetchall()
    batches = []
    campaign: Campaign | None = None
    for row in rows:
        values = iter(row)
        batch = built(Batch, values, OF_BATCH)
        stock = built_or_none(Stock, values)
        if campaign is None:
            campaign = built(Campaign, values, OF_CAMPAIGN)
            know(campaign, total_limit=built_or_none(TotalLimit, values))
        know(batch, stock=stock, campaign=campaign)
        batches.append(batch)
    return batches


OF_BATCH = ("id", "campaign_id", "name", "kind", "state", "code", "total", "voided")
OF_CAMPAIGN = (
    "id",
    "name",
    "state",
    "use_starts_at",
    "use_ends_at",
    "expiry",
    "expiry_amount",
    "expiry_unit",
    "limit_per_contact",
)
READY = """
    SELECT {columns} FROM serials_batch batch
    JOIN campaigns_campaign campaign ON campaign.id = batch.campaign_id
    LEFT JOIN serials_stock stock ON stock.batch_id = batch.id
    LEFT JOIN campaigns_totallimit total ON total.campaign_id = batch.campaign_id
    WHERE batch.campaign_id = %s AND batch.state = 'ready'
    ORDER BY batch.position, batch.id
"""


@cache
def ready_sql() -> str:
    columns = [
        columns_of(Batch, "batch", OF_BATCH),
        columns_of(Stock, "stock"),
        columns_of(Campaign, "campaign", OF_CAMPAIGN),
        columns_of(TotalLimit, "total"),
    ]
    return READY.format(columns=", ".join(columns))


def take_serial(ready: Sequence[Batch], *, at: datetime) -> Taken:
    """Take one serial, batch by batch in the order given by `ready_batches`.

    Must run inside the caller's transaction. For a fixed batch with a quantity the
    unit itself is taken by `take_unit`, last before the commit, because a rush queues
    for that row. Raises OutOfStock.
    """
    for wait in (False, True):
        for batch in ready:
            taken = _take_from(batch, at=at, wait=wait)
            if taken is not None:
                return taken
    raise OutOfStock


def _take_from(batch: Batch, *, at: datetime, wait: bool) -> Taken | None:
    if not batch.is_fixed:
        serial = Serial.objects.take(batch, at=at, wait=wait)
        return Taken(batch, serial, is_counted=False) if serial else None
    stock = getattr(batch, "stock", None)
    if stock is None:
        return Taken(batch, None, is_counted=False)
    if stock.taken >= stock.quantity:
        return None
    return Taken(batch, None, is_counted=True)


def take_unit(batch: Batch) -> None:
    """Count one unit off a fixed batch; call it last before the commit.

    Raises StockMoved when the last one went since we looked: roll everything back and
    start again, another batch may have some.
    """
    left = Stock.objects.filter(batch=batch, taken__lt=F("quantity"))
    if not left.update(taken=F("taken") + 1):
        raise StockMoved


# --- What people ask for ----------------------------------------------------------


def start_import(
    campaign: Campaign,
    *,
    file: "File[bytes]",
    name: str,
    by: User | None,
    encoding: str = "",
    has_header: bool = True,
    is_any_size: bool = False,
) -> Batch:
    """Keep an uploaded file and have it checked in the background.

    Nothing is imported before `confirm`. Raises ImportRefused for what is no CSV file
    or too big, and then keeps nothing. An empty `encoding` is found out. `is_any_size`
    is for whoever sits at the server and works it off there: no worker is woken.
    """
    if not file.size:
        raise ImportRefused(
            _("The file is empty. Choose a file with a heading and one serial a row."),
            field="file",
        )
    if file.size > MAX_BYTES and not is_any_size:
        raise ImportRefused(too_big(), field="file")
    _refuse_too_many(by)
    _refuse_ended(Campaign.objects.get(pk=campaign.pk))
    with transaction.atomic():
        batch = Batch.objects.create(
            campaign=campaign,
            name=name,
            kind=Batch.Kind.IMPORTED,
            state=State.CHECKING,
            encoding=encoding,
            has_header=has_header,
            is_any_size=is_any_size,
            created_by=by,
        )
        _keep(file, batch)
        # Last: a large file takes seconds to keep, and others wait for this lock.
        _open_campaign(campaign)
        # A check is one piece of work, and of such a file too much for a task.
        if not is_any_size:
            _wake(batch)
    return batch


def _keep(file: "File[bytes]", batch: Batch) -> None:
    for number, data in enumerate(file.chunks(PIECE)):
        if number == 0:
            refuse_other_kinds(data)
        storing.keep_piece(batch.pk, number, data)


def _refuse_too_many(by: User | None) -> None:
    """Raise ImportRefused for who has brought so many batches that it must be a slip."""
    if by is None:
        return
    since = timezone.now() - timedelta(days=1)
    kinds = [Batch.Kind.IMPORTED, Batch.Kind.GENERATED]
    mine = Batch.objects.filter(created_by=by, created_at__gt=since, kind__in=kinds)
    if mine.count() >= settings.IMPORTS_A_DAY:
        raise ImportRefused(
            _(
                "You have made %(count)s batches within 24 hours, which is as many as "
                "one person may. Put the serials into fewer, larger files, or try "
                "again later."
            )
            % {"count": settings.IMPORTS_A_DAY}
        )


def too_big() -> str:
    """What to tell whoever uploads more than MAX_BYTES."""
    return _(
        "The file is larger than 10 MB. Split it and upload the parts one after the "
        "other into the same campaign."
    )


def recheck(batch: Batch, *, encoding: str, has_header: bool) -> None:
    """Check the kept file again, read in another way. `encoding`: see ENCODINGS."""
    if encoding not in ENCODINGS:
        raise ImportRefused(_("Choose an encoding from the list."), field="encoding")
    if not batch.chunks.exists():
        raise ImportRefused(_("The file is not kept any more. Upload it again."))
    with transaction.atomic():
        is_moved = batch.move(
            (State.CHECKED, State.REFUSED),
            State.CHECKING,
            encoding=encoding,
            has_header=has_header,
            problem="",
            done_to=0,
            **NO_COUNTS,
        )
        if not is_moved:
            raise ImportRefused(_("This file is past its check."))
        _wake(batch)


def confirm(batch: Batch) -> None:
    """Import a checked file in the background.

    Pressing twice is pressing once. Raises ImportRefused when nothing would be
    imported or the file was cancelled.
    """
    _refuse_ended(batch.campaign)
    if batch.state == State.CHECKED and not batch.new:
        raise ImportRefused(
            _("Nothing in this file is new, so there is nothing to import.")
        )
    with transaction.atomic():
        is_moved = batch.move(
            (State.CHECKED,),
            State.IMPORTING,
            done_to=0,
            fits_code39=True,
            fits_code128=True,
            **NO_COUNTS,
        )
        if is_moved:
            _wake(batch)
    if batch.state not in (State.IMPORTING, State.READY):
        raise ImportRefused(_("Check the file first; then it can be imported."))


def cancel(batch: Batch) -> None:
    """Stop an import that isn't ready; the stock is as it was before.

    Serials that it brought already are removed in the background. Raises ImportRefused
    once the batch is ready.
    """
    with transaction.atomic():
        is_moved = batch.move(
            (State.CHECKING, State.CHECKED, State.IMPORTING),
            State.CANCELLED,
            **NO_FITS,
        )
        if is_moved:
            batch.chunks.all().delete()
            _wake(batch)
    if not is_moved and batch.state != State.CANCELLED:
        raise ImportRefused(
            _("This batch is finished already and can't be cancelled any more.")
        )


def generate(
    campaign: Campaign,
    *,
    pattern: str,
    quantity: int,
    alphabet: str,
    name: str,
    by: User | None,
    nonce: UUID | None = None,
) -> Batch:
    """Make serials by a pattern in the background; nobody gets one before all are there.

    `pattern` has a # for each random character, `alphabet` is one of ALPHABETS,
    `quantity` is 1 to 1,000,000. Raises ImportRefused with the field that is wrong: a
    pattern with too few codes, or whose codes could be guessed, for one. The same
    `nonce` again gives the same batch.
    """
    if not 1 <= quantity <= MAX_QUANTITY:
        raise ImportRefused(_("Choose 1 to 1,000,000."), field="quantity")
    if alphabet not in ALPHABETS:
        raise ImportRefused(_("Choose the characters from the list."), field="alphabet")
    _refuse_too_many(by)
    wanted = pattern_of(pattern, alphabet)
    with transaction.atomic():
        campaign = _open_campaign(campaign)
        if made := _made_by(nonce, campaign):
            return made
        refuse_pattern(campaign, wanted, quantity)
        batch = Batch.objects.create(
            campaign=campaign,
            press=nonce,
            name=name or wanted.text,
            kind=Batch.Kind.GENERATED,
            state=State.IMPORTING,
            pattern=wanted.text,
            alphabet=alphabet,
            wanted=quantity,
            fits_code39=all_fit("code39", iter(wanted.widest)),
            fits_code128=all_fit("code128", iter(wanted.widest)),
            created_by=by,
        )
        _wake(batch)
    return batch


def pattern_of(text: str, alphabet: str) -> Pattern:
    """The pattern that was typed; full-width and invisible characters become plain."""
    return Pattern(code_key(text, is_case_sensitive=True), alphabet)


def refuse_pattern(
    campaign: Campaign | None, pattern: Pattern, quantity: int | None
) -> None:
    """Raise ImportRefused, at the field `pattern`, for what makes no good serials.

    Without a campaign or a quantity only what doesn't depend on them is looked at.
    """
    problem = (
        shape_problem(pattern)
        or _room_problem(campaign, pattern, quantity or 1)
        or (campaign and _barcode_problem(campaign, pattern))
    )
    if problem:
        raise ImportRefused(problem, field="pattern")


def shape_problem(pattern: Pattern) -> str:
    """What is wrong with how a pattern is written; an empty text if nothing is."""
    text = pattern.text
    if not text.isascii() or not text.isprintable() or " " in text:
        return _("Use plain letters, digits and signs such as - or /, and no blanks.")
    if len(text) > CODE_LENGTH:
        return _("Write at most %(most)s characters.") % {"most": CODE_LENGTH}
    if not pattern.length:
        return _(
            "Write a # for each random character, such as SPRING-####-####. For the "
            "same text for everyone, make a fixed serial."
        )
    if text.startswith("="):
        return _(
            "A spreadsheet would take these serials for formulas. Begin with a letter, "
            "a digit or #."
        )
    return ""


def made_before(campaign: Campaign | None, pattern: Pattern) -> int:
    """How many serials of this pattern the campaign has got or is getting."""
    batches = Batch.objects.filter(
        campaign=campaign,
        kind=Batch.Kind.GENERATED,
        state__in=(State.IMPORTING, State.READY),
        alphabet=pattern.alphabet,
    )
    is_exact = campaign is not None and campaign.is_case_sensitive
    how = "exact" if is_exact else "iexact"
    same = batches.filter(**{f"pattern__{how}": pattern.text})
    return same.aggregate(sum=Sum("wanted"))["sum"] or 0


def _room_problem(campaign: Campaign | None, pattern: Pattern, quantity: int) -> str:
    """What is wrong with how many codes there are; an empty text if nothing is."""
    before = made_before(campaign, pattern)
    tries = pattern.tries(quantity + before)
    words = {
        "size": f"{pattern.size:,}",
        "quantity": f"{quantity:,}",
        "before": f"{before:,}",
        "tries": f"{tries:,}",
        "fewest": f"{FEWEST_TRIES:,}",
        "marks": pattern.fewest_marks(quantity + before),
        "mark": MARK,
    }
    if pattern.size < quantity:
        return (
            _(
                "This pattern can make only %(size)s different serials, not "
                "%(quantity)s. Write %(mark)s at least %(marks)s times."
            )
            % words
        )
    if tries >= FEWEST_TRIES:
        return ""
    problem = ngettext(
        "These could be guessed: one of them would be hit in about %(tries)s try, and "
        "it should take at least %(fewest)s. Write %(mark)s at least %(marks)s times.",
        "These could be guessed: one of them would be hit in about %(tries)s tries, and "
        "it should take at least %(fewest)s. Write %(mark)s at least %(marks)s times.",
        tries,
    )
    if before:
        has = _("The campaign has %(before)s serials of this pattern already.")
        problem = f"{has} {problem}"
    return problem % words


def _barcode_problem(campaign: Campaign, pattern: Pattern) -> "StrOrPromise | None":
    refusals = (look.refusal(campaign.barcode, code) for code in pattern.widest)
    return next((why for why in refusals if why), None)


def make_fixed(
    campaign: Campaign,
    *,
    code: str,
    quantity: int | None,
    name: str,
    by: User,
    nonce: UUID | None = None,
) -> Batch:
    """The same text for everyone, there at once whatever the quantity.

    `code` has 1 to 16 characters; `quantity` is 1 to 1,000,000, or None for no limit.
    The same `nonce` again gives the same batch. Raises ImportRefused with the field
    that is wrong.
    """
    if quantity is not None and not 1 <= quantity <= MAX_QUANTITY:
        raise ImportRefused(_("Choose 1 to 1,000,000."), field="quantity")
    code = code.translate(ZERO_WIDTH).strip()
    with transaction.atomic():
        campaign = _open_campaign(campaign)
        if made := _made_by(nonce, campaign):
            return made
        key = code_key(code, is_case_sensitive=campaign.is_case_sensitive)
        _refuse_bad_text(campaign, code, key)
        batch = Batch.objects.create(
            campaign=campaign,
            press=nonce,
            name=name or code,
            kind=Batch.Kind.FIXED,
            state=State.READY,
            ready_at=timezone.now(),
            code=code,
            code_key=key,
            fits_code39=fits("code39", code),
            fits_code128=fits("code128", code),
            created_by=by,
        )
        if quantity is not None:
            Stock.objects.create(batch=batch, quantity=quantity)
    return batch


def _made_by(nonce: UUID | None, campaign: Campaign) -> Batch | None:
    """What an earlier arrival of the same press made; its campaign is locked by us."""
    if nonce is None:
        return None
    return Batch.objects.filter(press=nonce, campaign=campaign).first()


def _refuse_bad_text(campaign: Campaign, code: str, key: str) -> None:
    if not 1 <= len(code) <= FIXED_LENGTH or len(key) > CODE_LENGTH:
        raise ImportRefused(_("Write 1 to 16 characters."), field="code")
    if is_unusable(code):
        raise ImportRefused(
            _("This holds characters that can't be seen. Type the text anew."),
            field="code",
        )
    reason = look.refusal(campaign.barcode, code)
    if reason is not None:
        raise ImportRefused(reason, field="code")
    if Serial.objects.filter(campaign=campaign, code_key=key).exists():
        raise ImportRefused(
            _("The campaign has this text as a one-time serial. Choose another."),
            field="code",
        )


def void(batch: Batch) -> None:
    """Make all that is left of a batch void: nobody gets any of it from now on.

    What was taken stays valid. The serials themselves follow in the background, those
    of a fixed batch at once. Pressing twice is pressing once. Raises ImportRefused for
    a batch that isn't ready.
    """
    with transaction.atomic():
        to = State.VOID if batch.is_fixed else State.VOIDING
        is_moved = batch.move((State.READY,), to, done_to=0, voided_at=timezone.now())
        if is_moved and batch.is_fixed:
            _void_units(batch)
        elif is_moved:
            _wake(batch)
    if batch.state not in (State.VOIDING, State.VOID):
        raise ImportRefused(_("Only serials that are ready can be made void."))


def _void_units(batch: Batch) -> None:
    """Take from a fixed batch what is left of its quantity, if it has one."""
    stock = Stock.objects.select_for_update().filter(batch=batch).first()
    if stock is None:
        return
    # A redeem that has read the batch before finds nothing left at its last step.
    left = stock.quantity - stock.taken
    Stock.objects.filter(batch=batch).update(quantity=F("taken"))
    Batch.objects.filter(pk=batch.pk).update(voided=left)
    batch.voided = left


@transaction.atomic
def void_one(serial_id: int) -> bool:
    """Make one serial void if it is free: somebody has used it without having got it.

    False when it is taken or void already. Whoever is taking it at this moment comes
    first or gets another: the row changes from free only once. The batch is locked
    before the serial, as by whoever makes all of a batch void.
    """
    serial = Serial.objects.only("batch_id").get(pk=serial_id)
    Batch.objects.select_for_update(no_key=True).get(pk=serial.batch_id)
    free = Serial.objects.filter(pk=serial_id, state=Serial.State.FREE)
    if not free.update(state=Serial.State.VOID):
        return False
    Batch.objects.filter(pk=serial.batch_id).update(voided=F("voided") + 1)
    return True


def set_stock_warning(campaign: Campaign, warn_below: int | None) -> None:
    """Below how many serials left people get a mail; None for never.

    Another number starts afresh: who was told of the old one is told of the new one.
    """
    if warn_below is None:
        StockWatch.objects.filter(campaign=campaign).delete()
        return
    watch = StockWatch.objects.filter(campaign=campaign, warn_below=warn_below)
    if not watch.exists():
        StockWatch.objects.update_or_create(
            campaign=campaign,
            defaults={"warn_below": warn_below, "told_at": None, "telling_until": None},
        )


def set_position(batch: Batch, position: int) -> None:
    """Where the batch stands in its campaign's order; lower is given out first."""
    Batch.objects.filter(pk=batch.pk).update(position=position)


@transaction.atomic
def give_first(batch: Batch) -> None:
    """Put the batch before all others of its campaign; these keep their order."""
    batches = Batch.objects.filter(campaign=batch.campaign_id)
    # All of them locked: two people who do this at once leave one order.
    locked = list(batches.select_for_update(no_key=True).order_by("pk"))
    first = min(locked, key=lambda one: (one.position, one.pk), default=None)
    if first is None or first.pk == batch.pk:
        return
    # A number that is as high as numbers go stays where it is.
    others = batches.exclude(pk=batch.pk).filter(position__lt=MAX_POSITION)
    others.update(position=F("position") + 1)
    set_position(batch, 0)


def describe(batch: Batch, *, name: str, memo: str) -> None:
    """Change what people call the batch; nothing else of it can be edited."""
    Batch.objects.filter(pk=batch.pk).update(name=name, memo=memo)


def may_delete(batch: Batch) -> bool:
    """Whether the batch surely gave nothing out and holds nothing."""
    if batch.is_fixed:
        stock = Stock.objects.filter(batch=batch).first()
        return stock is not None and stock.taken == 0
    is_over = batch.state in (State.REFUSED, State.CANCELLED) and not batch.done_to
    return is_over or (batch.state in State.whole() and batch.total == 0)


def delete(batch: Batch) -> None:
    """Delete a batch that gave nothing out. Raises ImportRefused for any other."""
    with transaction.atomic():
        locked = Batch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
        # Locked too, so that no unit is taken in between.
        list(Stock.objects.select_for_update().filter(batch=locked))
        if not may_delete(locked):
            raise ImportRefused(
                _("This batch may have given serials out and has to stay.")
            )
        locked.delete()


def _open_campaign(campaign: Campaign) -> Campaign:
    """The campaign as it is now, locked until the new batch is there.

    How keys are compared may not change once there is a batch: whoever changes it
    locks the campaign too, and then sees ours. Coupons only refer to the row and don't
    wait for this lock.
    """
    locked = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    _refuse_ended(locked)
    return locked


def _refuse_ended(campaign: Campaign) -> None:
    if campaign.state == Campaign.State.ENDED or campaign.archived_at:
        raise ImportRefused(
            _("This campaign has ended. Choose one that is still going."),
            field="campaign",
        )


def _wake(batch: Batch) -> None:
    transaction.on_commit(lambda: nudge(work, batch.pk), robust=True)
