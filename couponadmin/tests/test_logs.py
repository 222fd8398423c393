"""What gets into the logs, and what never does."""

import json
import logging
import sys

from couponadmin.logs import JsonFormatter
from coupons.models import make_token


def written(message, *args, exc_info=None, **extra):
    record = logging.LogRecord("test", 40, "x.py", 1, message, args, exc_info)
    record.__dict__ |= extra
    return JsonFormatter().format(record)


def test_a_line_is_one_json_object_whatever_the_message_holds():
    line = written("a\nb\x1b[31m %s", "c", coupon_id=7)

    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["event"] == "a\nb\x1b[31m c"
    assert json.loads(line)["coupon_id"] == 7


def test_a_coupons_link_is_masked_in_message_extra_and_trace():
    token = make_token()
    try:
        raise ValueError(f"bad path /c/{token}/redeem")
    except ValueError:
        line = written(
            "GET %s", f"/c/{token}", exc_info=sys.exc_info(), path=f"/c/{token}"
        )

    assert token not in line
    assert json.loads(line)["event"] == "GET /c/…"


def test_a_line_user_id_is_masked():
    user_id = "U" + "0123456789abcdef" * 2

    assert user_id not in written("profile of %s", user_id)
