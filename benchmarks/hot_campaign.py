"""Everybody redeems one fixed batch, against the same over 100 campaigns: at least 0.7.

The batch has a quantity, so each redeem queues for its one counter row.
"""

import multiprocessing

from _house import (
    ROUNDS,
    SECONDS,
    alternate,
    ask,
    conclude,
    prepared_database,
    tell,
    web,
)

BAR = 0.7
CAMPAIGNS = 100
MOST_A_SECOND = 800


def main() -> None:
    each = int(MOST_A_SECOND * SECONDS * (ROUNDS + 1) / CAMPAIGNS)
    with prepared_database():
        import _shop

        from testing.factories import make_connection, make_fixed_batch

        account = make_connection()
        hot_one = _shop.make_offer()
        make_fixed_batch(hot_one, quantity=each * CAMPAIGNS)
        hot = _shop.presses(_shop.send_coupons(hot_one, each * CAMPAIGNS, account))
        calm_ones = []
        for _ in range(CAMPAIGNS):
            campaign = _shop.make_offer()
            make_fixed_batch(campaign, quantity=each)
            calm_ones.append(_shop.send_coupons(campaign, each, account))
        calm = _shop.presses([c for row in zip(*calm_ones, strict=True) for c in row])
        _shop.settle()
        with web(workers=2 * multiprocessing.cpu_count() + 1) as port:
            hot_loads, calm_loads = alternate(
                lambda: ask(port, lambda: next(hot, None), expect=303),
                lambda: ask(port, lambda: next(calm, None), expect=303),
            )
    tell("one campaign", hot_loads)
    tell(f"{CAMPAIGNS} campaigns", calm_loads)
    conclude("hot_campaign", hot_loads, calm_loads, BAR)


if __name__ == "__main__":
    main()
