"""Redeem against a bare view with one query and no template: at least 0.25.

Each press is on another coupon of another contact, and takes a serial of its own.
"""

import itertools

from _house import (
    ROUNDS,
    SECONDS,
    Request,
    alternate,
    ask,
    conclude,
    prepared_database,
    tell,
    web,
)

BAR = 0.25
MOST_STATEMENTS = 10
MOST_A_SECOND = 800  # what so many coupons are prepared for


def main() -> None:
    count = int(MOST_A_SECOND * SECONDS * (ROUNDS + 1))
    with prepared_database():
        import _shop
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        from coupons.services import redeem
        from testing.factories import make_connection, make_serials

        campaign = _shop.make_offer()
        make_serials(campaign, count + 2)
        sent = _shop.send_coupons(campaign, count + 2, make_connection())
        first, second, *coupons = sent
        redeem(first.token, source=_shop.SOURCE)  # makes the batch's tallies
        _shop.settle()
        with CaptureQueriesContext(connection) as statements:
            redeem(second.token, source=_shop.SOURCE)
        print(f"{len(statements)} statements a redeem, at most {MOST_STATEMENTS}")
        if len(statements) > MOST_STATEMENTS:
            raise SystemExit(1)
        turn = itertools.cycle(coupon.token for coupon in coupons)
        pressed = _shop.presses(coupons)
        with web(workers=2) as port:
            redeems, bare = alternate(
                lambda: ask(port, lambda: next(pressed, None), expect=303),
                lambda: ask(port, lambda: Request(f"/bare/{next(turn)}"), expect=200),
            )
    tell("redeem", redeems)
    tell("bare view", bare)
    conclude("redeem", redeems, bare, BAR)


if __name__ == "__main__":
    main()
