"""Steps that a test runs in processes of their own: `python -m couponadmin.tests.far`.

Each prints one line of JSON.
"""

import json
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.test import Client  # noqa: E402

from testing.factories import (  # noqa: E402
    make_campaign,
    make_connection,
    make_contacts,
    make_coupon,
    make_list,
    make_serials,
    make_store,
    make_user,
)


def shop(count):
    """A campaign with so many coupons, serials for all of them, and its people.

    `second` is another coupon of the first contact, who may redeem more than one.
    """
    manager, clerk = make_user("Manager"), make_user("Store staff")
    store = make_store(clerk)
    campaign = make_campaign(store, limit_per_contact=3)
    make_serials(campaign, count + 1)
    connection = make_connection(access_token="token")
    contacts = make_contacts(connection, count)
    return {
        "tokens": [make_coupon(campaign, contact).token for contact in contacts],
        "second": make_coupon(campaign, contacts[0]).token,
        "contacts": [contact.line_user_id for contact in contacts],
        "campaign": campaign.pk,
        "connection": connection.pk,
        "list": make_list(*contacts).pk,
        "store": store.pk,
        "manager": session_of(manager),
        "clerk": session_of(clerk),
    }


def session_of(user):
    """The cookie of somebody who has signed in."""
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


if __name__ == "__main__":
    step: dict[str, Any] = {"shop": lambda count: shop(int(count))}
    sys.stdout.write(json.dumps(step[sys.argv[1]](*sys.argv[2:])) + "\n")
