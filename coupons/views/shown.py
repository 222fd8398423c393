"""What a customer is shown of a coupon: its state now, its texts, times and symbols.

It needs a coupon with its campaign, saved or not, so a specimen is shown the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import translation
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.benefit import benefit_words, condition_words
from campaigns.look import can_draw, css_properties, is_colour, symbol_svg
from campaigns.models import Campaign
from coupons.errors import MESSAGES, CouponError
from coupons.models import Coupon
from coupons.moments import TICKING, Moment, interval_words, left_words, zone_words
from coupons.passwords import is_closed, opens_at
from coupons.services import check_may_redeem
from coupons.showing import MOST_STORES, Facts, Place

FEW_STORES = 4  # as many are listed without a press
ANNOUNCED = (600, 300, 60)  # seconds left that a screen reader hears of

WEB = ("https", "http")
CONTACT = (*WEB, "mailto", "tel")


@dataclass(frozen=True)
class Told:
    """A text of the campaign, and the language it is written in."""

    words: str
    language: str


@dataclass(frozen=True)
class Entered:
    """What came of the staff's press on the page just now, and what they had chosen.

    Never what they typed.
    """

    problem: str = ""
    about: str = ""  # the field where it lies, store or password; "tries"; or neither
    store_id: int | None = None

    @property
    def is_answer(self) -> bool:
        """Whether there was a press at all."""
        return self != NOTHING_ENTERED

    def at(self, store_id: int | None) -> "Entered":
        """The same, where this store had been chosen."""
        return replace(self, store_id=store_id)


NOTHING_ENTERED = Entered()


@dataclass(frozen=True)
class CouponPage:
    """One coupon as its customer sees it at `at`.

    `refused` is the reason why a press of Redeem was refused just now.
    """

    coupon: Coupon
    facts: Facts
    at: datetime
    language: str
    refused: str = ""
    entered: Entered = NOTHING_ENTERED

    @property
    def campaign(self) -> Campaign:
        return self.coupon.campaign

    # What can be done with it

    @cached_property
    def state(self) -> str:
        """ready, redeemed, verified, or why it can't be redeemed."""
        state = self._state_now()
        if state != "ready" or not self.refused:
            return state
        # The limit in total has one reason with the contact's, but other words.
        return "out_of_stock" if self.refused == "limit_reached" else self.refused

    def _state_now(self) -> str:
        status = self.coupon.status
        if status == Coupon.Status.VERIFIED:
            return "verified"
        if status == Coupon.Status.REDEEMED and self.at < self.coupon.ends_at:
            return "redeemed"
        try:
            check_may_redeem(self.coupon, at=self.at)
        except CouponError as error:
            return error.code
        if self.facts.is_contact_full:
            return "limit_reached"
        if self.facts.is_total_full or not self.facts.has_stock:
            return "out_of_stock"
        return "ready"

    @cached_property
    def part(self) -> str:
        """The template of what differs by state."""
        shown = self.state in ("ready", "redeemed", "verified")
        return f"coupons/_{self.state if shown else 'closed'}.html"

    @property
    def icon(self) -> str:
        waits = ("not_started", "campaign_paused")
        return "wait" if self.state in waits else "stop"

    @property
    def is_big(self) -> bool:
        """Whether the offer comes first; afterwards the code or the reason does."""
        return self.state in ("ready", "not_started")

    @property
    def has_details(self) -> bool:
        """Whether how and where to use it still matters."""
        return self.state in ("ready", "redeemed", "not_started", "campaign_paused")

    # Its words

    @cached_property
    def message(self) -> str:
        return str(MESSAGES.get(self.state, ""))

    @cached_property
    def advice(self) -> str:
        """What a closed coupon's customer may want to know, with its date."""
        if self.state == "not_started" and self.starts.at <= self.at:
            return ""  # the campaign itself has not begun
        words = {
            "not_started": _("You can use it from %(starts)s."),
            "expired": _("You could use it until %(ends)s."),
            "campaign_paused": _(
                "Once it is available again, you can use it until %(ends)s."
            ),
            "campaign_ended": _(
                "The shop has ended it early. It was to run until %(ends)s."
            ),
            "out_of_stock": _("None is left as of %(now)s."),
            "limit_reached": _(
                "The limit is %(limit)s per person. The offer runs until %(ends)s."
            ),
            "revoked": _(
                "The shop withdrew it on %(revoked)s. If you think that is a mistake, "
                "ask the shop."
            ),
        }
        return words.get(self.state, "") % {
            "starts": self.starts,
            "ends": self.ends,
            "now": self.now,
            "limit": self.campaign.limit_per_contact,
            "revoked": self.moment(self.coupon.revoked_at or self.at),
        }

    @cached_property
    def name(self) -> Told:
        return self.told("name", self.campaign.name)

    @cached_property
    def instructions(self) -> Told:
        return self.told("instructions", self.campaign.shown_instructions)

    @cached_property
    def condition(self) -> Told:
        return self.told("usage_condition", self.campaign.shown_condition)

    def told(self, name: str, otherwise: str) -> Told:
        own = self.facts.texts.get(name, "")
        if own:
            return Told(own, self.language)
        return Told(otherwise, self.campaign.language)

    @cached_property
    def benefit(self) -> str:
        return benefit_words(self.campaign)

    @cached_property
    def minimum(self) -> str:
        return condition_words(self.campaign)

    # Its times

    def moment(self, at: datetime, *, is_end: bool = False) -> Moment:
        return Moment(at, self.campaign.zone, is_end)

    @cached_property
    def now(self) -> Moment:
        return self.moment(self.at)

    @cached_property
    def zone(self) -> str:
        return zone_words(self.at.astimezone(self.campaign.zone))

    @cached_property
    def starts(self) -> Moment:
        return self.moment(self.campaign.use_starts_at)

    @cached_property
    def starts_before_ends(self) -> str:
        """The start as the first half of a period, whose zone the end names."""
        is_same = self.starts.offset == self.ends.offset
        return self.starts.without_zone if is_same else str(self.starts)

    @cached_property
    def ends(self) -> Moment:
        return self.moment(self.coupon.ends_at, is_end=True)

    @property
    def used(self) -> Moment | None:
        at = self.coupon.verified_at
        return self.moment(at) if at else None

    @cached_property
    def until(self) -> datetime | None:
        """What the page counts down to."""
        if self.state in ("ready", "redeemed"):
            return self.coupon.ends_at
        starts = self.campaign.use_starts_at
        return starts if self.state == "not_started" and starts > self.at else None

    @cached_property
    def left(self) -> str:
        return left_words(self.until - self.at) if self.until else ""

    @property
    def clock_words(self) -> str:
        """What pressing Redeem starts."""
        campaign = self.campaign
        ends = {"ends": self.ends}
        if campaign.expiry != Campaign.Expiry.FROM_REDEMPTION:
            return _("Your code is then valid until %(ends)s.") % ends
        if campaign.interval >= self.coupon.ends_at - self.at:
            return _("From that moment you have until %(ends)s.") % ends
        interval = interval_words(campaign.expiry_unit, campaign.expiry_amount or 0)
        return _("From that moment you have %(interval)s to use it.") % {
            "interval": interval
        }

    @property
    def is_checked(self) -> bool:
        """Whether the store's staff takes it, so that it is shown to them."""
        return self.campaign.verifying != Campaign.Verifying.NONE

    # What the store's staff press on it

    @cached_property
    def use_way(self) -> str:
        """How they mark it as used here: button, password, or "" for not at all."""
        if self.state != "redeemed" or not self.use_stores:
            return ""
        way = self.campaign.verified_on_page
        is_over = way == "password" and is_closed(self.facts.tries, at=self.at)
        return "" if is_over else way

    @cached_property
    def use_stores(self) -> Sequence[Place]:
        """The stores they choose from: where a password counts, those that have one."""
        if self.campaign.verified_on_page != "password" or self.campaign.password:
            return self.facts.stores
        return [store for store in self.facts.stores if store.has_password]

    @property
    def only_store(self) -> Place | None:
        return self.use_stores[0] if len(self.use_stores) == 1 else None

    @property
    def wrong_field(self) -> str:
        """The field that the staff have to look at again, if there is one."""
        about = self.entered.about
        is_asked = about == "password" or (about == "store" and not self.only_store)
        return about if is_asked else ""

    @property
    def is_scanned_instead(self) -> bool:
        """Whether the staff are asked to scan what could be marked as used here."""
        is_here = self.state == "redeemed" and bool(self.campaign.verified_on_page)
        return is_here and not self.use_way

    @property
    def scan_words(self) -> str:
        """Why they scan it: its page takes no password, or no more."""
        tries = self.facts.tries
        if tries is None or not is_closed(tries, at=self.at):
            return _("Ask the staff to scan this coupon.")
        words = [self.entered.problem] if self.entered.about == "password" else []
        words.append(str(MESSAGES["too_many_tries"]))
        again = opens_at(tries)
        if again is not None and again < self.coupon.ends_at:
            words.append(
                _("The password can be typed again from %(again)s.")
                % {"again": self.moment(again).clock[:5]}
            )
        return "\n".join(words)

    @property
    def is_notice(self) -> bool:
        """Whether what came of a press has no place of its own on this page."""
        has_place = self.use_way or self.is_scanned_instead
        is_open = self.state in ("ready", "redeemed")
        return bool(self.entered.problem) and is_open and not has_place

    # Its symbols

    @cached_property
    def code_symbol(self) -> SafeString | None:
        kind, code = self.campaign.barcode, self.coupon.code
        if kind == Campaign.Barcode.NONE or not can_draw(kind, code):
            return None
        return symbol_svg(kind, code, _("Barcode of %(code)s") % {"code": code})

    @cached_property
    def number_symbol(self) -> SafeString | None:
        """The number as QR, where a scan of the serial can't tell whose coupon it is."""
        is_fixed = self.coupon.serial is None
        is_lacking = self.campaign.barcode != Campaign.Barcode.NONE
        is_lacking = is_lacking and self.code_symbol is None
        if not self.is_checked or not (is_fixed or is_lacking):
            return None
        number = self.coupon.shown_number
        label = _("QR code of coupon number %(number)s") % {"number": number}
        return symbol_svg(Campaign.Barcode.QR, self.coupon.number, label)

    # Its look

    @cached_property
    def look(self) -> dict[str, str]:
        return self.campaign.look()

    @cached_property
    def colours(self) -> SafeString:
        """The campaign's colours as CSS custom properties; the default for no colour."""
        names = {
            "bg": "background_colour",
            "text": "text_colour",
            "button": "button_colour",
            "button-text": "button_text_colour",
        }
        colours = {name: self.colour(source) for name, source in names.items()}
        colours["line"] = f"{colours['text'][:7]}38"
        return css_properties(colours)

    def colour(self, name: str) -> str:
        wanted = self.look[name]
        return wanted if is_colour(wanted) else default_of(name)

    @cached_property
    def image_url(self) -> str:
        return self.campaign.image.url if self.campaign.image else ""

    @property
    def preview_image_url(self) -> str:
        """Absolute, as a link preview needs it."""
        return settings.SITE_URL + self.image_url if self.image_url else ""

    @cached_property
    def button_url(self) -> str:
        return safe_link(self.look["button_url"], WEB)

    @cached_property
    def button(self) -> Told:
        label = self.look["button_label"] or _("To the shop")
        told = self.told("button_label", label)
        return told if self.look["button_label"] else Told(told.words, self.language)

    # Where

    @property
    def stores(self) -> Sequence[Place]:
        return self.facts.stores[:MOST_STORES]

    @property
    def has_more_stores(self) -> bool:
        return len(self.facts.stores) > MOST_STORES

    @property
    def has_few_stores(self) -> bool:
        return len(self.facts.stores) <= FEW_STORES

    # For the script

    @property
    def data(self) -> dict[str, Any]:
        """Instants in milliseconds since 1970, the clock's offset in seconds."""
        data = {
            "now": in_milliseconds(self.at),
            "offset": self.now.offset,
            "copied": _("Copied"),
            "announced": announced(self.language),
        }
        if self.until and self.until - self.at < TICKING:
            data["until"] = in_milliseconds(self.until)
        return data


def use_problem(error: CouponError) -> Entered:
    """What a refusal of the staff's press says on the page, and where."""
    if error.code == "wrong_password":
        return Entered(wrong_words(error.facts["left"]), "password")
    if "paused_until" in error.facts:
        words = _(
            "Too many wrong passwords today. Until tomorrow the staff of this store "
            "scan the coupon."
        )
        return Entered(words, "store")
    if "has_no_password" in error.facts:
        words = _("This store has no password. Its staff scan the coupon.")
        return Entered(words, "store")
    abouts = {"wrong_store": "store", "too_many_tries": "tries"}
    return Entered(error.message, abouts.get(error.code, ""))


def wrong_words(left: int) -> str:
    if not left:
        return _("Wrong password.")
    return ngettext(
        "Wrong password. %(left)d try left.",
        "Wrong password. %(left)d tries left.",
        left,
    ) % {"left": left}


@cache
def announced(language: str) -> dict[int, str]:
    """What a screen reader hears when so many seconds are left."""
    with translation.override(language):
        return {
            seconds: _("%(time)s left")
            % {"time": interval_words(Campaign.Unit.MINUTES, seconds // 60)}
            for seconds in ANNOUNCED
        }


def in_milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def default_of(field_name: str) -> str:
    field: Any = Campaign._meta.get_field(field_name)
    return str(field.default)


def safe_link(url: str, schemes: Sequence[str]) -> str:
    """The address if it is an absolute one of these schemes, else nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in schemes and (parts.netloc or parts.path) else ""
