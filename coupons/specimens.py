"""What stands on a specimen in place of a coupon's own: a code, a number, a link."""

import re

from serials.codes import code_key

CODE = "SPECIMEN-2345"  # every kind of barcode draws it
NUMBER = "TESTTESTTEST"
LINK = re.compile(r"/c/specimen/")
GAPS = re.compile(r"[\s-]")


def names_specimen(text: str) -> bool:
    """Whether what was scanned or typed stands on a specimen."""
    key = GAPS.sub("", code_key(text))
    both = (GAPS.sub("", code_key(name)) for name in (CODE, NUMBER))
    return key in both or LINK.search(text) is not None
