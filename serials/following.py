"""Working a batch off in the foreground, and showing at a terminal how far it is."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files import File
from django.db import DatabaseError, connection
from tqdm import tqdm

from serials import importing
from serials.models import Batch

Bar = Any  # tqdm's, generic in the stubs alone
EVERY = 0.3  # seconds between two looks at the row


class ShownFile(File):  # type: ignore[type-arg]
    """A file that moves a bar while it is kept."""

    def __init__(self, file: Any, name: str, bar: Bar) -> None:
        super().__init__(file, name)
        self.bar = bar

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self.bar.total = self.size
        for data in super().chunks(chunk_size):
            self.bar.update(len(data))
            yield data


def work_off(batch: Batch) -> None:
    """Work until nothing is left to do about the batch, or wait for whoever does it.

    Raises DoesNotExist when somebody deleted it.
    """
    while True:
        is_more = importing.run(batch.pk)
        batch.refresh_from_db()
        if not is_open(batch):
            return
        if not is_more:
            time.sleep(EVERY)


def is_open(batch: Batch) -> bool:
    """Whether there is work, or something to take back."""
    is_over = batch.state in (Batch.State.CANCELLED, Batch.State.REFUSED)
    return batch.state in Batch.State.at_work() or (is_over and batch.done_to > 0)


def bar(words: str, *, unit: str) -> Bar:
    """A bar on standard error; none where nobody looks."""
    return tqdm(
        desc=words,
        unit=unit,
        unit_scale=True,
        dynamic_ncols=True,
        disable=None,
        file=sys.stderr,
    )


@contextmanager
def followed(batch: Batch, words: str) -> Iterator[None]:
    """Show how many rows of the batch are done, whichever process does them.

    A thread looks at the row, because a check is one piece of work.
    """
    with bar(words, unit=" rows") as shown:
        if shown.disable:
            yield
            return
        is_over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(batch.pk, shown, is_over))
        watcher.start()
        try:
            yield
            shown.n = shown.total = max(batch.lines, batch.done_to)
        finally:
            is_over.set()
            watcher.join()
            shown.refresh()


def _watch(batch_id: int, shown: Bar, is_over: threading.Event) -> None:
    rows = Batch.objects.filter(pk=batch_id).values_list("lines", "done_to")
    while not is_over.wait(EVERY):
        try:
            lines, done = rows.first() or (0, 0)
        except DatabaseError:  # whoever does the work tells
            break
        if not is_over.is_set():
            shown.n, shown.total = done, max(lines, done) or None
            shown.refresh()
    connection.close()
