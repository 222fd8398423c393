"""The coupon page on a bad line: at most 40 KB, and painted within 1.8 seconds.

Chromium, with nothing in its cache, sees gunicorn through a line of 400 ms and 1.6
Mbit/s. The line is the browser's own imitation: each request waits 400 ms for its
answer, but opening a connection costs nothing, which on a real line it does.
"""

import json
import statistics
import sys
from collections.abc import Mapping
from typing import Any

from _house import ROUNDS, prepared_database, web

LATENCY = 400  # ms, there and back
BYTES_A_SECOND = 1_600_000 / 8
MOST_BYTES = 40 * 1024  # without the campaign's image
MOST_MS = 1_800  # until something is painted
LOADS = 2 * ROUNDS + 1
PAINTED = """() => new Promise(done => {
  new PerformanceObserver(list => {
    for (const entry of list.getEntries())
      if (entry.name === "first-contentful-paint") done(entry.startTime);
  }).observe({ type: "paint", buffered: true });
})"""


def main() -> int:
    with prepared_database():
        from testing.browsing import chromium

        tokens = make_coupons()
        with web(workers=2) as port, chromium() as browser:
            pages = {
                state: [
                    load(browser, f"http://127.0.0.1:{port}/c/{token}")
                    for _ in range(LOADS)
                ]
                for state, token in tokens.items()
            }
    weights = {state: max(w for w, _ in loads) for state, loads in pages.items()}
    paints = {
        state: statistics.median(ms for _, ms in loads)
        for state, loads in pages.items()
    }
    kept = [
        tell("page_weight", weights, "bytes", MOST_BYTES),
        tell("first_paint", paints, "ms", MOST_MS),
    ]
    return 0 if all(kept) else 1


def make_coupons() -> dict[str, str]:
    """The token of a coupon in each state that has the most to show."""
    import _shop
    from django.core.files.base import ContentFile

    from testing.factories import (
        make_coupon,
        make_fixed_batch,
        make_serials,
        make_store,
    )

    stores = [
        make_store(name=f"Store {n}", address="2-24-12 Shibuya") for n in range(8)
    ]
    tokens = {}
    for state, status in (("ready", "sent"), ("redeemed", "redeemed")):
        campaign = _shop.make_offer()
        campaign.stores.set(stores)
        campaign.image.save("photo.jpg", ContentFile(photo()))
        make_serials(campaign, 10)
        tokens[state] = make_coupon(campaign, status=status).token
    fixed = _shop.make_offer()
    make_fixed_batch(fixed, code="SPRING-OFFER-123")
    tokens["redeemed, two QR codes"] = make_coupon(fixed, status="redeemed").token
    return tokens


def photo() -> bytes:
    """A picture that weighs what a photo does, which competes for the line."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.effect_noise((640, 640), 60).convert("RGB").save(file, "JPEG", quality=60)
    return file.getvalue()


def load(browser: Any, address: str) -> tuple[int, float]:
    """One cold load: bytes over the line but for the image, and ms until painted."""
    from testing.browsing import complaints, open_page

    page = open_page(browser, phone=True)
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY,
            "downloadThroughput": BYTES_A_SECOND,
            "uploadThroughput": BYTES_A_SECOND,
        },
    )
    addresses: dict[str, str] = {}
    weights: dict[str, int] = {}
    line.on(
        "Network.requestWillBeSent",
        lambda told: addresses.update({told["requestId"]: told["request"]["url"]}),
    )
    line.on(
        "Network.loadingFinished",
        lambda told: weights.update({told["requestId"]: told["encodedDataLength"]}),
    )
    page.goto(address, wait_until="networkidle")
    painted = float(page.evaluate(PAINTED))
    if complaints(page):
        raise SystemExit(f"The page complains: {complaints(page)}")
    page.context.close()
    counted = {
        addresses[name]: weight
        for name, weight in weights.items()
        if "/media/" not in addresses[name]
    }
    if len(counted) < 3:
        raise SystemExit(f"Expected the page, its style and its script: {counted}")
    return sum(counted.values()), painted


def tell(name: str, figures: Mapping[str, float], unit: str, limit: float) -> bool:
    """Print the result as one JSON object; whether the worst page keeps to the bar."""
    worst = max(figures.values())
    for state, figure in figures.items():
        print(f"{name}, {state}: {figure:.0f} {unit}")
    result = {
        "name": name,
        "figure": round(worst),
        "unit": unit,
        "limit": limit,
        "ratio": round(worst / limit, 3),
        "bar": 1.0,
    }
    print(json.dumps(result))
    return worst <= limit


if __name__ == "__main__":
    sys.exit(main())
