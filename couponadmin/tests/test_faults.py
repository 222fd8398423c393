"""What a request gets when something is missing or too much."""

import json
import time

import pytest
from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import reverse

from couponadmin.middleware import DatabaseAway
from testing.factories import make_campaign, make_coupon, make_user


@pytest.mark.django_db
def test_a_request_that_says_it_is_too_large_is_refused_before_it_is_read(client):
    client.force_login(make_user("Editor"))

    response = client.post(
        reverse("admin:serials_batch_upload"), CONTENT_LENGTH=str(20 * 1024 * 1024)
    )

    assert response.status_code == 413
    assert b"10 MB" in response.content


@pytest.mark.django_db
def test_health_names_the_version(client):
    response = client.get("/healthz")

    assert json.loads(response.content) == {"status": "ok", "version": "0.1.0"}


@pytest.fixture
def known_features(db):
    """Django asks SQLite once what it can do; not while we play that it is away."""
    return connection.features.supports_json_field


@pytest.mark.usefixtures("known_features")
@pytest.mark.parametrize("path", ["/c/{token}", "/store/", "/admin/"])
def test_a_database_that_is_away_is_a_503_that_says_when_to_try_again(path):
    coupon = make_coupon(make_campaign())
    client = Client(raise_request_exception=False)
    client.force_login(make_user("Manager", is_superuser=True))

    with connection.execute_wrapper(away):
        response = client.get(path.format(token=coupon.token))

    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert b"Nothing was lost" in response.content


@pytest.mark.usefixtures("known_features")
def test_health_is_a_503_while_the_database_is_away(client):
    with connection.execute_wrapper(away):
        assert client.get("/healthz").status_code == 503


def away(execute, sql, params, many, context):
    """As the driver speaks when the server has gone."""
    raise OperationalError("server closed the connection unexpectedly")


def closed(execute, sql, params, many, context):
    """As the driver speaks when the connection went in an earlier statement."""
    raise InterfaceError("connection already closed")


@pytest.mark.usefixtures("known_features")
def test_a_connection_that_is_gone_is_a_503_too():
    coupon = make_coupon(make_campaign())
    client = Client(raise_request_exception=False)

    with connection.execute_wrapper(closed):
        response = client.get(f"/c/{coupon.token}")

    assert response.status_code == 503
    assert response["Retry-After"] == "5"


@pytest.mark.usefixtures("known_features")
def test_a_middleware_that_meets_a_database_that_is_away_is_a_503_too(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.asks"]
    client = Client(raise_request_exception=False)

    with connection.execute_wrapper(away):
        response = client.get("/store/")

    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert b"Nothing was lost" in response.content


def asks(get_response):
    """A middleware that looks something up before any view."""

    def middleware(request):
        make_user()
        return get_response(request)

    return middleware


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_transaction_left_idle_is_a_503_and_the_next_request_works():
    def dawdles(request):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
            time.sleep(0.3)
            cursor.execute("SELECT 1")
        return HttpResponse("done")

    middleware = DatabaseAway(dawdles)
    with pytest.raises(InternalError) as ended:
        middleware(HttpRequest())
    response = middleware.process_exception(HttpRequest(), ended.value)
    close_old_connections()  # as each request ends

    assert response.status_code == 503
    assert make_user().pk


@pytest.mark.django_db
def test_the_bare_address_leads_each_person_to_their_place(client):
    assert client.get("/").headers["Location"] == reverse("admin:index")
    client.force_login(make_user("Store staff"))
    assert client.get("/").headers["Location"] == reverse("store:home")
