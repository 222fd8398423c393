"""Draws the customer's page of a coupon, a real one or a specimen."""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language_info

from coupons.logo import shop_logo
from coupons.views.shown import CONTACT, CouponPage, safe_link

PATH = "THE-PAGE"  # stands for its address in what is drawn once for all


@dataclass(frozen=True)
class Links:
    """Where the page's links and forms lead.

    `page` is its own address, which the language links and "Look again" lead to; with
    none there are no language links. `opened` is where the script tells that the page
    is seen; with none it tells nobody.
    """

    page: str = ""
    redeem: str = ""
    verify: str = ""
    opened: str = ""
    form_token: str = ""


class Choice(NamedTuple):
    """A language to read the page in."""

    code: str
    name: str  # in the language itself
    is_current: bool


def draw(
    request: HttpRequest,
    page: CouponPage,
    *,
    links: Links,
    problem: str = "",
    has_script: bool = True,
) -> str:
    """The page as HTML, in the language that is active.

    `problem` says why a press of Redeem did nothing, on a page that is still ready.
    Where scripts are forbidden it is drawn without its own: a browser would complain.
    """
    told = {"opened": links.opened, "form_token": links.form_token}
    context = {
        "page": page,
        "shop": shop(),
        "nonce": str(request.csp_nonce),  # type: ignore[attr-defined]
        "problem": problem,
        "page_url": links.page,
        "redeem_url": links.redeem,
        "verify_url": links.verify,
        "form_token": links.form_token,
        "languages": languages(links.page),
        "has_script": has_script,
        "press": uuid4(),
        "data": page.data | {"page": links.page} | (told if links.opened else {}),
    }
    # Without what the house's other pages get: sessions and messages are not for here.
    return render_to_string("coupons/page.html", context)


def languages(page_url: str) -> SafeString:
    """Links to the same page in each language; nothing where it has no address."""
    if not page_url:
        return SafeString()
    path = escape(page_url.partition("?")[0])
    return mark_safe(links_in(translation.get_language()).replace(PATH, path))  # noqa: S308


@cache
def links_in(language: str) -> str:
    """The links for readers of a language, with PATH for the page's own."""
    choices = [
        Choice(code, get_language_info(code)["name_local"], code == language)
        for code, _name in settings.LANGUAGES
    ]
    context = {"choices": choices, "path": PATH}
    with translation.override(language):
        return render_to_string("coupons/_languages.html", context)


def shop() -> dict[str, Any]:
    return {
        "name": settings.SHOP_NAME,
        "logo": shop_logo(),
        "contact_url": safe_link(settings.SHOP_CONTACT_URL, CONTACT),
        "privacy_url": safe_link(settings.SHOP_PRIVACY_URL, CONTACT),
    }
