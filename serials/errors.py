"""What can go wrong with stock and files."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class OutOfStock(Exception):
    """No ready batch of the campaign has anything left."""


class StockMoved(Exception):
    """The last unit went to someone else since we looked: start the whole over."""


class ImportRefused(Exception):
    """The file or the serial can't be taken; the message says what to do.

    `field` is the form field that the message belongs to, empty for none.
    """

    def __init__(self, message: "StrOrPromise", *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class LeaseLost(Exception):
    """Someone cancelled the batch or took it over: stop, and change nothing more."""
