"""Where providers' webhooks arrive."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from connections.errors import SecretUnreadable
from sync.errors import WebhookRefused
from sync.services.webhooks import (
    take_line_webhook,
    take_paddle_webhook,
    take_vivoldi_webhook,
)

logger = logging.getLogger(__name__)

MAX_BODY = 1_000_000  # bytes


@csrf_exempt
@require_POST
def line(request: HttpRequest, hook_key: str) -> HttpResponse:
    """LINE's webhook: stored and answered at once, applied later.

    LINE gives up after 2 s, and sends again only what was not answered with 2xx.
    """

    def take(raw: bytes) -> None:
        take_line_webhook(hook_key, raw, request.headers.get("X-Line-Signature"))

    return answered(request, take)


@csrf_exempt
@require_POST
def paddle(request: HttpRequest, hook_key: str) -> HttpResponse:
    """Paddle's alerts: the same. They are forms, but what is signed is every field."""
    return answered(request, lambda raw: take_paddle_webhook(hook_key, raw))


@csrf_exempt
@require_POST
def vivoldi(request: HttpRequest, hook_key: str) -> HttpResponse:
    """Vivoldi's webhook: the same. Vivoldi gives up after 5 s."""
    headers = {name.lower(): text for name, text in request.headers.items()}
    return answered(request, lambda raw: take_vivoldi_webhook(hook_key, raw, headers))


def answered(request: HttpRequest, take: Callable[[bytes], None]) -> HttpResponse:
    """200 once `take` has stored the body, or why it was not taken."""
    try:
        take(read_body(request))
    except WebhookRefused as refused:
        return refuse(request, refused)
    except SecretUnreadable:
        logger.error("webhook.secret_unreadable", extra=ids_of(request))
        return HttpResponse(status=503, headers={"Retry-After": "60"})
    return HttpResponse(status=200)


def read_body(request: HttpRequest) -> bytes:
    """The bytes as they came; a body that is too long is not read at all."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > MAX_BODY:
        raise WebhookRefused(413, "too_long")
    try:
        return request.body
    except UnreadablePostError:
        raise WebhookRefused(400, "cut") from None


def refuse(request: HttpRequest, refused: WebhookRefused) -> HttpResponse:
    logger.warning(
        "webhook.refused",
        extra={"reason": refused.reason, "connection": refused.connection_id}
        | ids_of(request),
    )
    return HttpResponse(status=refused.status)


def ids_of(request: HttpRequest) -> dict[str, object]:
    return {"request_id": getattr(request, "request_id", "")}
