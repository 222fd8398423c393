"""Our own page: what keeps a campaign from working, and what a person should look at.

Source: design.md sections 3, 4 and 6; WCAG 2.2 for the contrast of 4.5:1.
"""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns import look
from campaigns.benefit import benefit_words, condition_words
from campaigns.models import Campaign
from coupons.moments import interval_words, local
from sync.preflight.facts import Facts
from sync.preflight.lines import Line, advice, count_words, fine, impossible

LEAST_CONTRAST = 4.5


def check(campaign: Campaign, facts: Facts) -> list[Line]:
    """Everything about our own page; an impossible line keeps it from being activated."""
    return [
        *_texts(campaign, facts),
        *_benefit(campaign),
        _image(campaign, facts),
        *_contrast(campaign),
        _use_period(campaign, facts),
        _sending_period(campaign, facts),
        _expiry(campaign, facts),
        _stock(facts),
        _limit(campaign, facts),
        _barcode(campaign, facts),
        _verification(campaign, facts),
    ]


# --- texts and look -----------------------------------------------------------------


def _texts(campaign: Campaign, facts: Facts) -> Iterator[Line]:
    what = _("Texts")
    yield fine(_("Name"), f"“{campaign.name}”", field="name")
    if not campaign.shown_instructions:
        yield advice(
            _("Instructions"),
            _("There are none: customers aren't told how to use the coupon."),
            field="instructions",
        )
    languages = dict(settings.LANGUAGES)
    own = facts.texts.get(campaign.language, frozenset())
    empty = [str(name) for code, name in languages.items() if code not in facts.texts]
    for code, filled in facts.texts.items():
        if code in languages and own - filled:
            yield advice(
                what,
                _(
                    "%(language)s lacks some of the texts: those are shown in "
                    "%(fallback)s."
                )
                % {
                    "language": languages[code],
                    "fallback": languages.get(campaign.language, campaign.language),
                },
                place="texts",
            )
    if empty:
        yield advice(
            what,
            _("Not written in %(languages)s: customers read %(fallback)s there.")
            % {
                "languages": ", ".join(empty),
                "fallback": languages.get(campaign.language, campaign.language),
            },
            place="texts",
        )


def _benefit(campaign: Campaign) -> Iterator[Line]:
    words = " · ".join(
        part for part in (benefit_words(campaign), condition_words(campaign)) if part
    )
    before, after = campaign.price_before, campaign.price_after
    is_price = campaign.benefit == Campaign.Benefit.PRICE
    if is_price and before is not None and after is not None and after >= before:
        yield advice(
            _("Benefit"),
            _("%(benefit)s: the price after is not lower than the one before.")
            % {"benefit": words},
            field="price_after",
        )
    else:
        said = words or _("None is shown apart: the name has to say it.")
        yield fine(_("Benefit"), said, field="benefit")


def _image(campaign: Campaign, facts: Facts) -> Line:
    what = _("Image")
    if facts.is_image_lost:
        return advice(
            what, _("Its file can't be read. Upload it again."), field="image"
        )
    if not campaign.image:
        return advice(
            what, _("There is none: page and message show text alone."), field="image"
        )
    width, height = facts.image_size or (0, 0)
    if min(width, height) < 320:
        return advice(
            what,
            _(
                "%(width)s x %(height)s pixels: it looks blurred on a phone. 640 x 640 "
                "is better."
            )
            % {"width": width, "height": height},
            field="image",
        )
    size = _("%(width)s x %(height)s pixels") % {"width": width, "height": height}
    return fine(what, size, field="image")


def _contrast(campaign: Campaign) -> Iterator[Line]:
    colours = campaign.look()
    pairs = (
        ("text_colour", "background_colour", _("Text on its background")),
        ("button_text_colour", "button_colour", _("Text on the button")),
    )
    for text, ground, what in pairs:
        try:
            ratio = look.contrast(colours[text], colours[ground])
        except ValueError:  # no colour at all: the form would have refused it
            continue
        # Rounded down: 4.49 is not 4.5.
        shown = number_format(int(ratio * 10) / 10, decimal_pos=1)
        if ratio < LEAST_CONTRAST:
            words = _(
                "Hard to read: contrast %(ratio)s to 1, at least 4.5 to 1 is needed."
            )
            yield advice(what, words % {"ratio": shown}, field=text)
        else:
            words = _("Contrast %(ratio)s to 1") % {"ratio": shown}
            yield fine(what, words, field=text)


# --- dates -----------------------------------------------------------------------------


def _use_period(campaign: Campaign, facts: Facts) -> Line:
    what = _("Use period")
    ends = local(campaign, campaign.use_ends_at, is_end=True)
    if facts.at >= campaign.use_ends_at:
        return impossible(
            what,
            _("It was over on %(when)s: nobody could redeem.") % {"when": ends},
            field="use_ends_at",
        )
    starts = local(campaign, campaign.use_starts_at)
    words = _("From %(start)s until %(end)s") % {"start": starts, "end": ends}
    return fine(what, words, field="use_ends_at")


def _sending_period(campaign: Campaign, facts: Facts) -> Line:
    what = _("Sending period")
    starts, ends = campaign.send_starts_at, campaign.send_ends_at
    if starts and starts >= campaign.use_ends_at:
        return impossible(
            what,
            _(
                "It begins on %(start)s, when the use period is over: nothing could be sent."
            )
            % {"start": local(campaign, starts)},
            field="send_starts_at",
        )
    if ends and facts.at >= ends:
        return impossible(
            what,
            _("It was over on %(when)s: nothing could be sent.")
            % {"when": local(campaign, ends, is_end=True)},
            field="send_ends_at",
        )
    if ends and ends > campaign.use_ends_at:
        return advice(
            what,
            _("It goes on after the use period; sending ends with that, on %(when)s.")
            % {"when": local(campaign, campaign.use_ends_at, is_end=True)},
            field="send_ends_at",
        )
    first = local(campaign, starts) if starts else _("now")
    end = min(ends or campaign.use_ends_at, campaign.use_ends_at)
    last = local(campaign, end, is_end=True)
    words = _("From %(start)s until %(end)s") % {"start": first, "end": last}
    return fine(what, words, field="send_starts_at")


def _expiry(campaign: Campaign, facts: Facts) -> Line:
    what = _("Expiry")
    if campaign.expiry == Campaign.Expiry.USE_END:
        return fine(what, _("With the use period"), field="expiry")
    if campaign.expiry == Campaign.Expiry.FROM_SENDING:
        problem = _sent_too_early(campaign, facts.at)
        if problem:
            return problem
    if campaign.interval >= campaign.use_ends_at - campaign.use_starts_at:
        return advice(
            what,
            _(
                "The time after which a coupon expires is longer than the use period: "
                "all end with the period, on %(when)s."
            )
            % {"when": local(campaign, campaign.use_ends_at, is_end=True)},
            field="expiry_amount",
        )
    time = interval_words(campaign.expiry_unit, campaign.expiry_amount or 0)
    if campaign.expiry == Campaign.Expiry.FROM_SENDING:
        return fine(what, _("%(time)s after sending") % {"time": time}, field="expiry")
    words = _("%(time)s after Redeem is pressed") % {"time": time}
    return fine(what, words, field="expiry")


def _sent_too_early(campaign: Campaign, at: datetime) -> Line | None:
    """Coupons whose clock runs out before the use period begins."""
    first = max(at, campaign.send_starts_at or at)
    last = min(campaign.send_ends_at or campaign.use_ends_at, campaign.use_ends_at)
    opens = campaign.use_starts_at
    if first + campaign.interval > opens:
        return None
    if last + campaign.interval <= opens:
        return impossible(
            _("Expiry"),
            _("Every coupon would expire before the use period begins, on %(when)s.")
            % {"when": local(campaign, opens)},
            field="expiry_amount",
        )
    return advice(
        _("Expiry"),
        _(
            "Coupons sent before %(when)s expire before the use period begins: nobody "
            "could redeem those."
        )
        % {"when": local(campaign, opens - campaign.interval)},
        field="expiry_amount",
    )


# --- serials and limits -----------------------------------------------------------------


def _stock(facts: Facts) -> Line:
    what = _("Serials")
    free = facts.free
    if free is None:
        return fine(what, _("As many as are asked for"), place="serials")
    if free:
        words = ngettext("%(n)s is free", "%(n)s are free", free)
        return fine(what, words % {"n": count_words(free)}, place="serials")
    if facts.is_stock_coming:
        said = _(
            "None is ready yet: nobody could redeem. An import is under way, wait for it."
        )
    elif facts.stock:
        said = _("All are taken: nobody could redeem. Add more.")
    else:
        said = _(
            "There are none: nobody could redeem. Upload, generate or type some first."
        )
    return impossible(what, said, place="serials")


def _limit(campaign: Campaign, facts: Facts) -> Line:
    what = _("Limits")
    left, free = facts.limit_left, facts.free
    if left == 0:
        return impossible(
            what,
            _("The limit in total is reached: nobody could redeem."),
            field="limit_in_total",
        )
    if left is not None and free is not None and free < left:
        return advice(
            what,
            _(
                "%(left)s may be redeemed, but only %(free)s serials are free: they run "
                "out first."
            )
            % {"left": count_words(left), "free": count_words(free)},
            field="limit_in_total",
        )
    each = campaign.limit_per_contact
    words = (
        ngettext("%(n)s redemption per contact", "%(n)s redemptions per contact", each)
        % {"n": count_words(each)}
        if each
        else _("No limit per contact")
    )
    if left is not None:
        words += " · " + _("%(left)s in total") % {"left": count_words(left)}
    return fine(what, words, field="limit_per_contact")


def _barcode(campaign: Campaign, facts: Facts) -> Line:
    what = _("Barcode")
    unfit = next((stock for stock in facts.stock if not stock.fits_barcode), None)
    if unfit is not None:
        return impossible(
            what,
            _(
                "Some serials of “%(batch)s” can't be drawn as %(barcode)s. A QR code "
                "draws everything."
            )
            % {"batch": unfit.name, "barcode": campaign.get_barcode_display()},
            field="barcode",
        )
    return fine(what, str(campaign.get_barcode_display()), field="barcode")


def _verification(campaign: Campaign, facts: Facts) -> Line:
    what = _("Verification")
    kind = Campaign.Verifying(campaign.verifying)
    if kind == Campaign.Verifying.NONE:
        return fine(what, _("Not needed"), field="verifying")
    if not facts.open_stores:
        said = _("No open store takes it: nobody could verify. Open or choose a store.")
        # A code can be shown and taken without us; a button or a password can't.
        is_lost = bool(campaign.verified_on_page)
        kind_of_line = impossible if is_lost else advice
        return kind_of_line(what, said, field="stores", place="stores")
    if campaign.verified_on_page and not facts.stores_on_page:
        said = _(
            "No open store that takes it has a password: nobody could verify on the "
            "customer's page. Set one at the store, or one for the campaign."
        )
        if kind == Campaign.Verifying.PASSWORD_SCAN:
            return advice(what, said, field="verifying", place="stores")
        return impossible(what, said, field="verifying", place="stores")
    count = facts.open_stores
    places = ngettext("at %(n)s store", "at %(n)s stores", count) % {"n": count}
    words = f"{campaign.get_verifying_display()}, {places}"
    return fine(what, words[:1].upper() + words[1:], field="verifying")
