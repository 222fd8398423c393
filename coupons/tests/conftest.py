"""What several race tests stand on."""

import pytest
from django.db import connection

NAIVE_TABLES = {
    "naive_coupon": "id int, contact int, status text, ends_at timestamptz",
    "naive_serial": "id int, is_free bool",
    "naive_counter": "used int, quota int",
    "naive_answer": "nonce int",
    "naive_event": "coupon int, kind text",
    "naive_campaign": "state text, store int",
}


@pytest.fixture
def naive_tables():
    """Coupons and counters as beginners keep them: no key, no guard, no constraint."""
    with connection.cursor() as cursor:
        for name, columns in NAIVE_TABLES.items():
            cursor.execute(f"CREATE TABLE {name} ({columns})")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {', '.join(NAIVE_TABLES)}")
