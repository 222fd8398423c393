"""Logs: one JSON object a line, in UTC, with ids only."""

import json
import logging
import re
from datetime import UTC, datetime

STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# A coupon's link is a secret: whoever reads it can redeem. Neither it nor a LINE user
# id gets into a log, whoever wrote the line.
SECRETS = [
    (re.compile(r"/c/[A-Za-z0-9_-]{4,}"), "/c/…"),
    (re.compile(r"/hooks/line/[A-Za-z0-9_-]{4,}"), "/hooks/line/…"),
    (re.compile(r"\bU[0-9a-f]{32}\b"), "U…"),
]


def masked(line: str) -> str:
    for pattern, instead in SECRETS:
        line = pattern.sub(instead, line)
    return line


class JsonFormatter(logging.Formatter):
    """Writes a record and its `extra` values; json escapes newlines and controls."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {
            key: value
            for key, value in record.__dict__.items()
            if key not in STANDARD and key != "request"
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return masked(json.dumps(line, default=str))
