"""From a kept file to a batch of serials, and whatever else a worker does to a batch.

The kept file is the only input and is read again for each phase, so nothing else must
survive a crash. Checking a file writes its report and no serial; it starts again from
the top. Importing goes block by block: serials, report and checkpoint in one commit,
so that after each of them new + duplicate + refused = rows done. What is new is decided
by the unique key in the database alone.

Until the batch is ready its serials are rows that nobody can take. They do hold their
keys: another import meanwhile calls them duplicates. A cancelled batch gives them back,
block by block, after which the same file can be imported again.
"""

import functools
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from serials import generating, reading, storing, voiding
from serials.codes import visible
from serials.errors import ImportRefused, LeaseLost
from serials.models import Batch, RefusedRow, Serial, UploadChunk
from serials.reading import Block, Rules
from serials.steps import LEASE, MARKS, Clock, Collision, again, all_fit, step

State = Batch.State

MANY = 10_000  # rows: so many change what the planner should think of the table
SLICE = 20.0  # seconds of work a task, then the next one
KEEP_REFUSED = timedelta(days=1)  # a refused file may be checked again so long
KEEP_CHECKED = timedelta(days=7)
KEEP_LEFT = timedelta(hours=1)  # a check whose terminal is gone


def run(batch_id: int, *, seconds: float = SLICE, clock: Clock = timezone.now) -> bool:
    """Work on a batch for about `seconds`; True when something is left to do.

    Does nothing when there is nothing to do or another worker is at it.
    """
    batch = _claim(batch_id, clock)
    if batch is None:
        return False
    try:
        return not _work(batch, time.monotonic() + seconds, clock)
    except LeaseLost:
        return False


def _work(batch: Batch, until: float, clock: Clock) -> bool:
    try:
        is_done = _WORK[State(batch.state)](batch, until, clock)
    except ImportRefused as problem:
        return _refuse(batch, str(problem))
    if not is_done:
        batch.hold(leased_until=None)
    return is_done


def _claim(batch_id: int, clock: Clock) -> Batch | None:
    now = clock()
    until = now + LEASE
    if not Batch.objects.due(now).filter(pk=batch_id).update(leased_until=until):
        return None
    batch = Batch.objects.select_related("campaign").get(pk=batch_id)
    return batch if batch.leased_until == until else None


def _refuse(batch: Batch, problem: str) -> bool:
    """Refuse the file; True when nothing is left to do about it."""
    is_checking = batch.state == State.CHECKING
    # Serials that an import brought so far are removed by the next run.
    done_to = 0 if is_checking else batch.done_to
    with transaction.atomic():
        storing.be_patient()
        batch.hold(
            state=State.REFUSED,
            problem=problem[:500],
            done_to=done_to,
            leased_until=None,
        )
        if is_checking:
            RefusedRow.objects.filter(batch=batch).delete()
    return not done_to


def pieces(batch: Batch) -> Iterator[bytes]:
    """The kept file, a piece at a time."""
    numbers = batch.chunks.order_by("number").values_list("number", flat=True)
    for number in list(numbers):
        chunk = UploadChunk.objects.filter(batch=batch, number=number).first()
        if chunk is None:
            raise LeaseLost  # cancelled while we read
        yield bytes(chunk.data)


def rules_of(batch: Batch) -> Rules:
    campaign = batch.campaign
    campaign.refresh_from_db(fields=["barcode", "is_case_sensitive"])
    return Rules(campaign.barcode, campaign.is_case_sensitive)


def _blocks(batch: Batch) -> Iterator[Block]:
    after = max(batch.done_to, 1 if batch.has_header else 0)
    return reading.blocks(pieces(batch), batch.encoding, rules_of(batch), after=after)


# --- Checking ---------------------------------------------------------------------


def _check(batch: Batch, until: float, clock: Clock) -> bool:
    """Read the whole file once, write its report, count; `until` isn't used.

    Takes seconds for a million rows. A second try starts again from the top.
    """
    _start_check(batch, clock)
    good = bad = 0
    with storing.staging():
        for block in _blocks(batch):
            good, bad = good + len(block.good), bad + len(block.bad)
            if good + bad > settings.IMPORT_MOST_ROWS and not batch.is_any_size:
                raise ImportRefused(_too_many_rows())
            storing.stage(block.good)
            with step(batch, clock, done_to=block.last):
                storing.add_refused(batch.pk, block.bad)
        if not good + bad:
            raise ImportRefused(_no_serials(batch))
        _finish_check(batch, good, bad, clock)
    return True


def _start_check(batch: Batch, clock: Clock) -> None:
    encoding = batch.encoding or reading.detect(lambda: pieces(batch))
    first = reading.first_rows(pieces(batch), encoding, 2)
    reading.refuse_columns(first)
    lines = reading.count_lines(pieces(batch))
    with step(batch, clock, encoding=encoding, lines=lines, done_to=0):
        RefusedRow.objects.filter(batch=batch).delete()
    batch.encoding, batch.done_to = encoding, 0


def _finish_check(batch: Batch, good: int, bad: int, clock: Clock) -> None:
    with step(batch, clock):
        storing.look_closely()
        known = storing.refuse_known(batch.pk, batch.campaign_id, good)
        repeated = storing.refuse_repeated(batch.pk, batch.campaign_id)
        Batch.objects.filter(pk=batch.pk).update(
            state=State.CHECKED,
            leased_until=None,
            done_to=0,
            lines=good + bad,
            new=good - known - repeated,
            duplicate=known + repeated,
            refused=bad,
        )


def _too_many_rows() -> str:
    return _(
        "The file has more than %(most)s serials. Split it and upload the parts one "
        "after the other into the same campaign."
    ) % {"most": f"{settings.IMPORT_MOST_ROWS:,}"}


def _no_serials(batch: Batch) -> str:
    if not batch.has_header:
        return _("The file is empty. Choose a file with one serial a row.")
    return _(
        "The file has a heading and no serials below it. Add the serials, or, if row 1 "
        "is a serial, say so and check again."
    )


# --- Importing --------------------------------------------------------------------


def _bring(batch: Batch, until: float, clock: Clock) -> bool:
    """Bring serials in until the time is over; True when the batch is ready."""
    is_generated = batch.kind == Batch.Kind.GENERATED
    bring = generating.generate if is_generated else _import
    if not bring(batch, until, clock):
        return False
    _finish(batch, clock)
    if batch.done_to >= MANY:
        storing.look_again(batch.done_to)
    return True


def _import(batch: Batch, until: float, clock: Clock) -> bool:
    """Import block by block until the time is over; True when all rows are in."""
    with storing.staging():
        for block in _blocks(batch):
            storing.empty_stage()
            storing.stage(block.good)
            again(functools.partial(_import_block, batch, block, clock))
            if time.monotonic() >= until:
                return False
    return True


def _import_block(batch: Batch, block: Block, clock: Clock) -> None:
    with step(batch, clock, done_to=block.last):
        rows = (batch.done_to + 1, block.last)
        RefusedRow.objects.filter(batch=batch, line__range=rows).delete()
        storing.add_refused(batch.pk, block.bad)
        new = storing.insert_staged(batch.pk, batch.campaign_id)
        duplicate = len(block.good) - new
        if duplicate and duplicate != storing.refuse_known(
            batch.pk, batch.campaign_id, len(block.good)
        ):
            # A serial that was in our way went since: its import was cancelled.
            raise Collision
        lost = _lost_marks(batch, block, rows, has_duplicates=duplicate > 0)
        Batch.objects.filter(pk=batch.pk).update(
            new=F("new") + new,
            duplicate=F("duplicate") + duplicate,
            refused=F("refused") + len(block.bad),
            **dict.fromkeys(lost, False),
        )
    batch.done_to = block.last
    for mark in lost:
        setattr(batch, mark, False)


def _lost_marks(
    batch: Batch, block: Block, rows: tuple[int, int], *, has_duplicates: bool
) -> list[str]:
    """Which of the batch's two barcode marks this block takes away."""
    lost = []
    for field, kind in MARKS:
        if not getattr(batch, field) or all_fit(kind, (row[1] for row in block.good)):
            continue
        # A duplicate is not in the batch and takes nothing away.
        serials = Serial.objects.filter(batch=batch, state=0, pos__range=rows)
        codes = serials.values_list("code", flat=True)
        if not has_duplicates or not all_fit(kind, codes.iterator()):
            lost.append(field)
    return lost


def _finish(batch: Batch, clock: Clock) -> None:
    """Give the batch free, whole; what it was made from is not needed any more."""
    with step(batch, clock):
        # Whoever adds a fixed serial or changes the barcode locks it too, and then
        # looks at this batch: one of us sees the other.
        campaign = Campaign.objects.select_for_update(no_key=True)
        batch.campaign = campaign.get(pk=batch.campaign_id)
        _refuse_new_barcode(batch)
        _refuse_new_fixed(batch)
        Batch.objects.filter(pk=batch.pk).update(
            state=State.READY, ready_at=clock(), total=F("new"), leased_until=None
        )
        batch.chunks.all().delete()


def _refuse_new_barcode(batch: Batch) -> None:
    """Refuse a batch that the barcode of now can't draw."""
    if not getattr(batch, f"fits_{batch.campaign.barcode}", True):
        raise ImportRefused(
            _(
                "The campaign's barcode was changed meanwhile, and the new one can't "
                "draw these serials. Change it back or bring other serials."
            )
        )


def _refuse_new_fixed(batch: Batch) -> None:
    """Refuse a batch that has a fixed serial made while its block was written."""
    fixed = Batch.objects.filter(campaign_id=batch.campaign_id, kind=Batch.Kind.FIXED)
    # Few texts, each looked up by the unique key: as a subquery, all serials are read.
    keys = list(fixed.values_list("code_key", flat=True))
    mine = Serial.objects.filter(campaign_id=batch.campaign_id, batch=batch)
    if not mine.filter(code_key__in=keys).exists():
        return
    if batch.kind == Batch.Kind.GENERATED:
        raise ImportRefused(
            _("One of these serials has become a fixed serial. Generate them again.")
        )
    raise ImportRefused(
        _(
            "The campaign got a fixed serial during the import that the file has too. "
            "Upload the file again: that row is then left out."
        )
    )


# --- Taking back ------------------------------------------------------------------


def _clear(batch: Batch, until: float, clock: Clock) -> bool:
    """Remove what a cancelled import brought; True when all is gone."""
    while batch.done_to > 0:
        left = max(0, batch.done_to - settings.IMPORT_BLOCK)
        with step(batch, clock, done_to=left):
            storing.remove_serials(batch.pk, left + 1, batch.done_to)
        batch.done_to = left
        if time.monotonic() >= until:
            break
    if batch.done_to == 0:
        batch.hold(leased_until=None)
    return batch.done_to == 0


def tidy(clock: Clock = timezone.now) -> None:
    """Drop files that wait for nobody, and checks that nobody confirmed."""
    now = clock()
    UploadChunk.objects.filter(
        Q(batch__state=State.REFUSED, batch__created_at__lt=now - KEEP_REFUSED)
        | Q(batch__state=State.CANCELLED)
    ).delete()
    old = Batch.objects.filter(state=State.CHECKED, created_at__lt=now - KEEP_CHECKED)
    for batch in old:
        batch.move(
            (State.CHECKED,),
            State.CANCELLED,
            problem=_("Not confirmed for 7 days. Upload the file again."),
        )
    left = Batch.objects.filter(
        Q(leased_until=None) | Q(leased_until__lt=now - KEEP_LEFT),
        state=State.CHECKING,
        is_any_size=True,
        created_at__lt=now - KEEP_LEFT,
    )
    for batch in left:
        batch.move(
            (State.CHECKING,),
            State.CANCELLED,
            problem=_("The command that checked this file has ended. Run it again."),
        )


_WORK: dict[State, Callable[[Batch, float, Clock], bool]] = {
    State.CHECKING: _check,
    State.IMPORTING: _bring,
    State.CANCELLED: _clear,
    State.REFUSED: _clear,
    State.VOIDING: voiding.void,
}


def preview(batch: Batch, count: int = 20) -> list[tuple[int, str, str]]:
    """The file's first rows as (row, text, what is wrong); row 1 comes with none."""
    found = []
    rules = rules_of(batch)
    lines = reading.first_rows(pieces(batch), batch.encoding, count)
    for number, line in enumerate(lines, start=1):
        try:
            text, problem = reading.cell(line), ""
            if number > 1 or not batch.has_header:
                text = reading.read_code(text, rules)[0]
        except reading.BadRow as error:
            text, problem = line, batch.why(error.reason)
        found.append((number, visible(text), problem))
    return found
