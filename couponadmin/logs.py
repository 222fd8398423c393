"""Logs: one JSON object a line, in UTC, with ids only."""

import json
import logging
import re
import sqlite3
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist

STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# `request` is Django's; `data` is Celery's, with arguments and a trace of its own.
LEFT_OUT = STANDARD | {"request", "data"}

# A coupon's link is a secret: whoever reads it can redeem. Neither it nor a LINE user
# id gets into a log, whoever wrote the line. These see the line as JSON: what is inside
# a string goes on to its closing quote.
REST = r'(?:[^"\\]|\\.)*'
SECRETS = [
    (re.compile(r"/c/+[^\s\"'?#…\\]{4,}"), "/c/…"),
    (re.compile(r"/hooks/([a-z]+)/+[^\s\"'?#…\\]{4,}"), r"/hooks/\1/…"),
    # A coupon's token behind an address that we do not have.
    (re.compile(r"(?<=/)[A-Za-z0-9_-]{24}(?![A-Za-z0-9_-])"), "…"),
    (re.compile(r"U[0-9a-f]{32}(?![0-9A-Za-z])"), "U…"),
    # What was searched for, and the password in an address.
    (re.compile(r"(?<=[\w/-])\?[^\s\"'\\]+"), "?…"),
    (re.compile(r"(://[^\s\"'/:@]*):[^\s\"'/@]+@"), r"\1:…@"),
    # PostgreSQL repeats the row that it refuses, and the statement.
    (re.compile(rf"(DETAIL|CONTEXT|LINE \d+):{REST}"), r"\1: …"),
    (re.compile(rf"(Key \(|Failing row contains \(){REST}"), r"\1…"),
]
# Errors that speak of the program or the machine. The words of all others may hold what
# somebody typed: a ValueError repeats the value, a KeyError the key.
TELLING = (
    AttributeError,
    ImportError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    sqlite3.Error,
    ImproperlyConfigured,
    ObjectDoesNotExist,
)


def masked(line: str) -> str:
    for pattern, instead in SECRETS:
        line = pattern.sub(instead, line)
    return line


def name_of(error: BaseException) -> str:
    """Its type, and what it says as far as that is nobody's data."""
    name = type(error).__qualname__
    if isinstance(error, psycopg.Error):
        words = database_words(error)
    elif isinstance(error, TELLING):
        words = str(error).partition(" but got ")[0]  # the value, in Django's own
    else:
        words = ""
    return f"{name}: {words}" if words else name


def database_words(error: psycopg.Error) -> str:
    """PostgreSQL's code, and what is concerned: never its words, which repeat values."""
    found = error.diag
    if found.sqlstate is None:  # the connection's own trouble
        return str(error)
    concerned = (found.constraint_name, found.table_name, found.column_name)
    return " ".join([found.sqlstate, *filter(None, concerned)])


def trace_of(error: BaseException, found: TracebackType | None) -> str:
    """Where it happened, the first of a chain of errors first."""
    parts = ["".join(traceback.format_tb(found)) + name_of(error)]
    seen = {id(error)}
    before = cause_of(error)
    while before and id(before) not in seen:
        seen.add(id(before))
        where = "".join(traceback.format_tb(before.__traceback__))
        parts.append(where + name_of(before))
        before = cause_of(before)
    return "\nand then\n".join(reversed(parts))


def cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def plain(value: object) -> str:
    """What json cannot write itself, as a text."""
    return name_of(value) if isinstance(value, BaseException) else str(value)


class JsonFormatter(logging.Formatter):
    """Writes a record and its `extra` values; json escapes newlines and controls."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event_of(record),
        }
        line |= {
            key: value for key, value in record.__dict__.items() if key not in LEFT_OUT
        }
        if record.exc_info and record.exc_info[1]:
            line["trace"] = trace_of(record.exc_info[1], record.exc_info[2])
        return masked(json.dumps(line, default=plain, skipkeys=True))


def event_of(record: logging.LogRecord) -> str:
    """The message; of an error among its arguments only what `name_of` says.

    Must not fail: logging would then write message and arguments as they are.
    """
    args: Any = record.args
    if isinstance(args, Mapping):
        args = dict(harmless(args))
    elif args:
        args = tuple(plain(a) if isinstance(a, BaseException) else a for a in args)
    try:
        return str(record.msg) % args if args else plain(record.msg)
    except (TypeError, ValueError, LookupError):
        return str(record.msg)


def harmless(args: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Celery gives an error as its repr: `ValueError('...')`."""
    for key, value in args.items():
        if isinstance(value, BaseException):
            value = name_of(value)
        yield key, str(value).partition("(")[0] if key == "exc" else value
