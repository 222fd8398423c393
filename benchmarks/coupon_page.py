"""The coupon page against a bare view with one query and no template: at least 0.4."""

import itertools

from _house import Request, alternate, ask, conclude, prepared_database, tell, web

BAR = 0.4
MOST_QUERIES = 2


def main() -> None:
    with prepared_database():
        import _shop
        from django.db import connection
        from django.test import Client
        from django.test.utils import CaptureQueriesContext

        from testing.factories import make_connection, make_serials

        campaign = _shop.make_offer()
        make_serials(campaign, 20_000)
        coupons = _shop.send_coupons(campaign, 5_000, make_connection())
        tokens = [coupon.token for coupon in coupons]
        _shop.settle()
        with CaptureQueriesContext(connection) as queries:
            Client(SERVER_NAME="127.0.0.1").get(f"/c/{tokens[0]}")
        print(f"{len(queries)} queries a page, at most {MOST_QUERIES}")
        if len(queries) > MOST_QUERIES:
            raise SystemExit(1)
        with web(workers=2) as port:
            turn = itertools.cycle(tokens)
            pages, bare = alternate(
                lambda: ask(port, lambda: Request(f"/c/{next(turn)}"), expect=200),
                lambda: ask(port, lambda: Request(f"/bare/{next(turn)}"), expect=200),
            )
    tell("coupon page", pages)
    tell("bare view", bare)
    conclude("coupon_page", pages, bare, BAR)


if __name__ == "__main__":
    main()
