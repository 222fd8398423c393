"""A campaign to try on one's own phone: its page as a specimen, from Redeem to the end.

The link carries all that was pressed, signed. Nothing is written anywhere, so no press
needs to be guarded; no password is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation

from campaigns.models import Campaign
from coupons.forms import UseForm, UsePasswordForm
from coupons.models import Coupon
from coupons.showing import TEXTS, stores_of
from coupons.views.drawing import Links, draw
from coupons.views.page import SeeOther, customer_page, not_found, query_of
from coupons.views.shown import NOTHING_ENTERED, Entered
from coupons.views.specimen import Specimen, clock_for, end_of, specimen
from serials.models import Batch

SALT = "coupons.specimen"
VALID_FOR = timedelta(days=7)


@dataclass(frozen=True)
class Trial:
    """Whose page is tried, until when the link holds, and what was pressed on it."""

    campaign_id: int
    until: datetime
    redeemed_at: datetime | None = None
    used_at: datetime | None = None
    store_id: int = 0

    @property
    def token(self) -> str:
        """As it stands in the link, signed."""
        instants = (self.until, self.redeemed_at, self.used_at)
        seconds = [int(at.timestamp()) if at else 0 for at in instants]
        values = (self.campaign_id, *seconds, self.store_id)
        return signer().sign("-".join(map(str, values)))


def signer() -> Signer:
    return Signer(salt=SALT, sep=".")


def trial_of(token: str) -> Trial | None:
    """What a link says, unless it is forged."""
    try:
        values = map(int, signer().unsign(token).split("-"))
        campaign_id, until, redeemed, used, store_id = values
    except (BadSignature, ValueError):  # the second: signed by another version of ours
        return None
    return Trial(
        campaign_id,
        datetime.fromtimestamp(until, UTC),
        datetime.fromtimestamp(redeemed, UTC) if redeemed else None,
        datetime.fromtimestamp(used, UTC) if used else None,
        store_id,
    )


def specimen_path(campaign: Campaign, *, now: datetime) -> str:
    """A new link to try the campaign with, from /c/ on; it holds for seven days."""
    return path_of(Trial(campaign.pk, now + VALID_FOR))


def path_of(trial: Trial, name: str = "specimen") -> str:
    return reverse(f"coupon:{name}", args=[trial.token])


# --- The page --------------------------------------------------------------------------


@dataclass(frozen=True)
class Tried(Specimen):
    """The page of a specimen on somebody's phone, which says all over that it is one."""

    first_url: str = ""  # to begin again; "" while nothing was pressed
    scanned_url: str = ""  # what a scan by the store's staff would lead to
    is_moved: bool = False  # to a day of the campaign's use period

    @property
    def is_tried(self) -> bool:
        return True

    @property
    def takes_any_password(self) -> bool:
        return self.use_way == "password"


def tried(
    campaign: Campaign,
    trial: Trial,
    *,
    now: datetime,
    query: str,
    entered: Entered = NOTHING_ENTERED,
) -> Tried:
    """The page after what was pressed. Its clock runs on from the press of Redeem."""
    language = translation.get_language()
    pressed = trial.redeemed_at or now
    start = clock_for(campaign, "ready", pressed)
    at = start + (now - pressed)
    state = (
        "verified" if trial.used_at else "redeemed" if trial.redeemed_at else "ready"
    )
    texts = campaign.texts.filter(language=language).values(*TEXTS).first()
    stores = stores_of(Coupon(campaign=campaign, redeemed_at=trial.redeemed_at))
    page = specimen(
        campaign,
        state,
        now=start,
        language=language,
        texts=texts,
        stores=stores,
        is_fixed=has_fixed_code(campaign),
    )
    coupon = page.coupon
    if trial.redeemed_at:
        coupon.redeemed_at = start
        coupon.ends_at = end_of(campaign, coupon, start, state)
    if trial.used_at:
        coupon.verified_at = start + (trial.used_at - pressed)
    elif trial.redeemed_at and at >= coupon.ends_at:
        state = "expired"
    names = [store.name for store in stores if store.pk == trial.store_id]
    shown = Tried(
        coupon,
        replace(page.facts, store_name=names[0] if names else page.facts.store_name),
        at,
        language,
        entered=entered,
        chosen=state,
        first_url=path_of(Trial(trial.campaign_id, trial.until)) + query
        if trial.redeemed_at
        else "",
        is_moved=start != pressed,
    )
    is_scanned = state == "redeemed" and shown.is_checked and not shown.use_way
    url = path_of(trial, "specimen_verify") + query
    return replace(shown, scanned_url=url) if is_scanned else shown


def has_fixed_code(campaign: Campaign) -> bool:
    """Whether everybody gets the same serial, which has more beside it on the page."""
    kinds = Batch.objects.filter(campaign=campaign).values_list("kind", flat=True)
    return set(kinds.distinct().order_by()) == {Batch.Kind.FIXED}


def screen(
    request: HttpRequest, shown: Tried, trial: Trial, *, status: int = 200
) -> HttpResponse:
    query = query_of(request)
    links = Links(
        page=path_of(trial) + query,
        redeem=path_of(trial, "specimen_redeem") + query,
        verify=path_of(trial, "specimen_verify") + query,
    )
    return HttpResponse(draw(request, shown, links=links), status=status)


# --- What is pressed -------------------------------------------------------------------


def of_trial(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Give the view the campaign and the trial of a link that holds."""

    @wraps(view)
    def enter(request: HttpRequest, token: str) -> HttpResponse:
        now = timezone.now()
        trial = trial_of(token)
        campaigns = Campaign.objects.select_related("group", "template")
        found = trial and campaigns.filter(pk=trial.campaign_id).first()
        if trial is None or found is None:
            return not_found(request)
        if now >= trial.until:
            return render(request, "coupons/trial_over.html", status=404)
        return view(request, found, trial, now)

    return enter


@customer_page("GET", "HEAD")
@of_trial
def page(
    request: HttpRequest, campaign: Campaign, trial: Trial, now: datetime
) -> HttpResponse:
    shown = tried(campaign, trial, now=now, query=query_of(request))
    return screen(request, shown, trial)


@customer_page("GET", "HEAD", "POST")
@of_trial
def redeem(
    request: HttpRequest, campaign: Campaign, trial: Trial, now: datetime
) -> HttpResponse:
    if request.method == "POST" and not trial.redeemed_at:
        trial = replace(trial, redeemed_at=now)
    return see(request, trial)


@customer_page("GET", "HEAD", "POST")
@of_trial
def verify(
    request: HttpRequest, campaign: Campaign, trial: Trial, now: datetime
) -> HttpResponse:
    """What the staff press, or what a scan of theirs would do where they scan."""
    shown = tried(campaign, trial, now=now, query=query_of(request))
    if request.method != "POST" or shown.state != "redeemed":
        return see(request, trial)
    if shown.scanned_url:
        return see(request, replace(trial, used_at=now))
    if not shown.use_way:
        return see(request, trial)
    form = (UsePasswordForm if shown.takes_any_password else UseForm)(request.POST)
    is_valid = form.is_valid()
    given: dict[str, Any] = form.cleaned_data
    store_id = given.get("store")
    if is_valid and store_id in {store.pk for store in shown.use_stores}:
        return see(request, replace(trial, used_at=now, store_id=store_id))
    problem, about = form.problem, form.problem_field
    if is_valid:
        problem, about = str(form.fields["store"].error_messages["required"]), "store"
    entered = Entered(problem, about, store_id)
    again = tried(campaign, trial, now=now, query=query_of(request), entered=entered)
    return screen(request, again, trial, status=400)


def see(request: HttpRequest, trial: Trial) -> HttpResponse:
    return SeeOther(path_of(trial) + query_of(request))
