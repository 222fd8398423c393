"""What a manager does with one coupon: take its use back, revoke it, issue another."""

import functools
from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from campaigns.look import Barcode, can_draw, symbol_svg
from coupons.errors import CouponError
from coupons.models import Coupon, Event, Verification
from coupons.services import Source, is_undone_by, reissue, revoke, undo
from deliveries.errors import DeliveryError
from deliveries.messages import link_base
from deliveries.services import supply_of
from reports.admin.reading import ReadOnly
from reports.forms import ReplaceForm, RevokeForm, TakeBackForm
from reports.models import RedemptionRecord
from reports.offers import (
    CHANGE,
    TAKE_BACK,
    Refusal,
    not_revoked,
    not_taken_back,
    refusal_to_issue,
    refusal_to_replace,
    refusal_to_revoke,
    refusal_to_take_back,
)
from reports.replacing import check_reachable, replacement_of, send_another
from stores.access import StaffRequest
from stores.naming import name_of

View = Callable[..., HttpResponse]


class CouponSteps(ReadOnly):
    """The record's own pages. Each asks first; only a POST changes anything."""

    def get_urls(self) -> list[URLPattern]:
        one = "<int:coupon_id>"
        pages = [
            (f"{one}/take-back/<int:verification_id>/", "take_back", TAKE_BACK),
            (f"{one}/revoke/", "revoke", CHANGE),
            (f"{one}/replace/", "replace", CHANGE),
        ]
        own = [
            path(
                route,
                self.admin_site.admin_view(self.of_one(getattr(self, name), needs)),
                name=f"reports_redemptionrecord_{name}",
            )
            for route, name, needs in pages
        ]
        return [*own, *super().get_urls()]

    def of_one(self, view: View, permission: str) -> View:
        """A page of one coupon, for whoever may see records and do this."""

        @require_http_methods(["GET", "HEAD", "POST"])
        @functools.wraps(view)
        def page(request: HttpRequest, coupon_id: int, **rest: Any) -> HttpResponse:
            may_see = self.has_view_permission(request)
            if not may_see or not request.user.has_perm(permission):
                raise PermissionDenied
            records = RedemptionRecord.objects.select_related(
                "campaign", "contact__connection", "serial", "batch"
            )
            return view(request, get_object_or_404(records, pk=coupon_id), **rest)

        return page

    def step_page(
        self,
        request: HttpRequest,
        template: str,
        title: str,
        coupon: Coupon,
        status: int = 200,
        **context: Any,
    ) -> TemplateResponse:
        everywhere = self.admin_site.each_context(request)
        return TemplateResponse(
            request,
            f"reports/{template}",
            {
                **everywhere,
                "opts": self.opts,
                "title": title,
                "original": coupon,
                "coupon": coupon,
                "record_url": record_url(coupon),
                **context,
            },
            status=status,
        )

    # --- taking a verification back ---------------------------------------------------

    def take_back(
        self, request: StaffRequest, coupon: RedemptionRecord, verification_id: int
    ) -> HttpResponse:
        """The verification is named: a page kept open never takes a later one back."""
        rows = coupon.verifications.select_related("store", "staff")
        verification = get_object_or_404(rows, pk=verification_id)
        if request.method != "POST":
            refusal = refusal_to_take_back(coupon, verification, at=timezone.now())
            return self.take_back_page(
                request, coupon, verification, TakeBackForm(), refusal
            )
        form = TakeBackForm(request.POST)
        if not form.is_valid():
            return self.take_back_page(request, coupon, verification, form, status=400)
        try:
            self.do_take_back(request, coupon, verification, form)
        except CouponError as error:
            # Pressed twice: the first press did it, and the person sees that it worked.
            if not is_undone_by(verification.pk, request.user):
                refusal = not_taken_back(error, coupon)
                return self.take_back_page(
                    request, coupon, verification, form, refusal, status=409
                )
        messages.success(
            request,
            _("The verification is taken back: the customer can use the coupon again."),
        )
        return HttpResponseRedirect(record_url(coupon))

    def do_take_back(
        self,
        request: StaffRequest,
        coupon: RedemptionRecord,
        verification: Verification,
        form: TakeBackForm,
    ) -> None:
        reason = form.cleaned_data["reason"]
        undo(
            verification.pk,
            by=request.user,
            reason=reason,
            is_manager=True,
            request_id=request.request_id,
        )
        said = _("Verification taken back. Reason: %(reason)s") % {"reason": reason}
        self.log_change(request, coupon, said)

    def take_back_page(
        self,
        request: HttpRequest,
        coupon: Coupon,
        verification: Verification,
        form: TakeBackForm,
        refusal: Refusal | None = None,
        status: int = 200,
    ) -> TemplateResponse:
        return self.step_page(
            request,
            "record_take_back.html",
            _("Take the verification back"),
            coupon,
            status,
            verification=verification,
            staff=name_of(verification.staff),
            form=form,
            refusal=refusal,
        )

    # --- revoking ------------------------------------------------------------------------

    def revoke(self, request: StaffRequest, coupon: RedemptionRecord) -> HttpResponse:
        if request.method != "POST":
            form = RevokeForm(user=request.user)
            return self.revoke_page(request, coupon, form, refusal_to_revoke(coupon))
        form = RevokeForm(request.POST, user=request.user)
        if not form.is_valid():
            return self.revoke_page(request, coupon, form, status=400)
        try:
            self.do_revoke(request, coupon, form)
        except CouponError as error:
            # Pressed twice, as above.
            if not is_revoked_by(coupon, request.user):
                coupon.refresh_from_db()
                refusal = not_revoked(error)
                return self.revoke_page(request, coupon, form, refusal, status=409)
        messages.success(
            request,
            _("Coupon %(number)s is revoked.") % {"number": coupon.shown_number},
        )
        if form.cleaned_data["then"] == "replace":
            return redirect("admin:reports_redemptionrecord_replace", coupon.pk)
        return HttpResponseRedirect(record_url(coupon))

    def do_revoke(
        self, request: StaffRequest, coupon: RedemptionRecord, form: RevokeForm
    ) -> None:
        reason = form.cleaned_data["reason"]
        revoke(coupon.pk, source=source_of(request), reason=reason)
        said = _("Revoked. Reason: %(reason)s") % {"reason": reason}
        self.log_change(request, coupon, said)

    def revoke_page(
        self,
        request: HttpRequest,
        coupon: Coupon,
        form: RevokeForm,
        refusal: Refusal | None = None,
        status: int = 200,
    ) -> TemplateResponse:
        return self.step_page(
            request,
            "record_revoke.html",
            _("Revoke the coupon"),
            coupon,
            status,
            form=form,
            refusal=refusal,
            is_seen=coupon.status == Coupon.Status.REDEEMED,
            no_other=refusal_to_issue(coupon.campaign, at=timezone.now()),
        )

    # --- another one in its place ----------------------------------------------------------

    def replace(self, request: StaffRequest, coupon: RedemptionRecord) -> HttpResponse:
        if request.method != "POST":
            return self.replace_page(request, coupon)
        form = ReplaceForm(request.POST)
        if not form.is_valid():
            return self.replace_page(request, coupon, status=400)
        act = self.send if form.cleaned_data["way"] == "line" else self.hand_over
        try:
            return act(request, coupon)
        except CouponError:
            return self.replace_page(request, coupon, status=409)
        except DeliveryError as problem:
            return self.replace_page(request, coupon, problem.message, status=409)

    def send(self, request: StaffRequest, coupon: RedemptionRecord) -> HttpResponse:
        """Issue another and send it on LINE."""
        try:
            delivery = send_another(
                coupon.pk,
                source=source_of(request),
                by=request.user,
                at=timezone.now(),
            )
        except CouponError:
            found = replacement_of(coupon)
            sent = getattr(found, "own_delivery", None)
            if sent is None or sent.created_by_id != request.user.pk:
                raise
            delivery = sent  # pressed twice, as above
        else:
            self.log_replaced(request, coupon, delivery.coupon, _("sent on LINE"))
        new = cast(Coupon, delivery.coupon)
        messages.success(
            request,
            _(
                "Coupon %(number)s is being sent on LINE. Its record shows when LINE has "
                "accepted it."
            )
            % {"number": new.shown_number},
        )
        return HttpResponseRedirect(record_url(new))

    def hand_over(
        self, request: StaffRequest, coupon: RedemptionRecord
    ) -> HttpResponse:
        """Issue another and show its link, in this answer alone."""
        new = reissue(coupon.pk, source=source_of(request), is_handed_over=True)
        self.log_replaced(request, coupon, new, _("its link was shown"))
        link = link_base() + new.token
        symbol = ""
        if can_draw(Barcode.QR, link):
            symbol = symbol_svg(Barcode.QR, link, _("QR code of the coupon's link"))
        # The site marks each of its pages as not to be stored; it matters most here.
        return self.step_page(
            request,
            "record_link.html",
            _("The new coupon's link"),
            coupon,
            new=new,
            new_url=record_url(new),
            link=link,
            symbol=symbol,
        )

    def log_replaced(
        self, request: HttpRequest, old: Coupon, new: Coupon | None, how: str
    ) -> None:
        """In the history of both; never the link."""
        if new is None:
            return
        said = _("Replaced by %(number)s: %(how)s.")
        self.log_change(request, old, said % {"number": new, "how": how})
        record = RedemptionRecord.objects.get(pk=new.pk)
        said = _("Issued in place of %(number)s: %(how)s.")
        self.log_change(request, record, said % {"number": old, "how": how})

    def replace_page(
        self,
        request: HttpRequest,
        coupon: RedemptionRecord,
        problem: str = "",
        status: int = 200,
    ) -> TemplateResponse:
        at = timezone.now()
        coupon.refresh_from_db()
        found = replacement_of(coupon)
        refusal = refusal_to_replace(coupon, found, at=at)
        not_on_line = ""
        if refusal is None:
            try:
                check_reachable(coupon, at=at)
            except DeliveryError as error:
                not_on_line = error.message
        return self.step_page(
            request,
            "record_replace.html",
            _("Issue another coupon"),
            coupon,
            status,
            refusal=refusal,
            replacement=found,
            problem=problem if problem != not_on_line else "",
            not_on_line=not_on_line,
            is_out_of_stock=refusal is None and supply_of(coupon.campaign).stock == 0,
        )


def record_url(coupon: Coupon) -> str:
    return reverse("admin:reports_redemptionrecord_change", args=[coupon.pk])


def source_of(request: StaffRequest) -> Source:
    return Source("staff", request.user, request.request_id)


def is_revoked_by(coupon: Coupon, person: User) -> bool:
    return coupon.events.filter(kind=Event.Kind.REVOKED, actor=person).exists()
