"""Batches with their stock: the list, the page of one, and making the rest void."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as gettext_now
from django.utils.translation import gettext_lazy as _

from reports.admin.barcode_png import BarcodePictures
from reports.numbers import BatchStock, numbers_for, stock_of, stocks_of
from serials import services
from serials.admin.batches import BatchAdmin
from serials.admin.pages import Page, gone
from serials.errors import ImportRefused
from serials.models import Batch

State = Batch.State


class BatchList(ChangeList):
    """Puts each shown batch's stock beside it, one query a page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = stocks_of(self.result_list)
        for batch in self.result_list:
            batch.numbers = found[batch.pk]


@admin.register(Batch)
class BatchStockAdmin(BarcodePictures, BatchAdmin):
    """Batches with what is free, taken, verified and void of each."""

    list_display = ("label", "campaign", "kind", "progress", "left", "position")
    change_form_outer_before_template = "reports/batch_panel.html"

    class Media:
        css = {"all": ["reports/stock.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BatchList

    @admin.display(description=_("stock"))
    def left(self, batch: Batch) -> str:
        stock = batch.numbers  # type: ignore[attr-defined]
        context = {"batch": batch, "stock": stock, "with_code": True}
        return render_to_string("reports/_batch_stock.html", context)

    def facts(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        facts = super().facts(request, batch)
        stock = stock_of(batch)
        may_void = facts["may_change"] and batch.state == State.READY and stock.has_more
        return {
            **facts,
            "stock": stock,
            "may_void": may_void,
            "barcodes": self.barcode_links(batch),
        }

    def own_pages(self) -> list[Page]:
        one = "<int:batch_id>/"
        void = self.of_batch(self.void, "change", asks_first=True)
        return [
            *super().own_pages(),
            (f"{one}void/", void, "void"),
            (f"{one}first/", self.of_batch(self.give_first, "change"), "first"),
        ]

    def give_first(self, request: HttpRequest, batch: Batch) -> HttpResponseRedirect:
        """Put the batch first; its campaign's page then shows the new order."""
        services.give_first(batch)
        messages.success(
            request,
            gettext_now("“%(batch)s” is the first to be given out now.")
            % {"batch": batch.name},
        )
        page = reverse("admin:campaigns_campaign_change", args=[batch.campaign_id])
        return HttpResponseRedirect(f"{page}#serials")

    def void(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        """Asks whether the rest shall be void, and says what that means."""
        if request.method == "POST":
            return self.make_void(request, batch)
        stock = stock_of(batch)
        if batch.state != State.READY or not stock.has_more:
            messages.info(request, instead_of_void(batch))
            return redirect("admin:serials_batch_change", batch.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext_now("Make the rest void"),
            "opts": self.opts,
            "media": self.media,
            "batch": batch,
            "stock": stock,
            "is_last": is_last(batch, stock),
        }
        return TemplateResponse(request, "reports/batch_void.html", context)

    def make_void(self, request: HttpRequest, batch: Batch) -> HttpResponseRedirect:
        was_ready = batch.state == State.READY
        try:
            services.void(batch)
        except Batch.DoesNotExist:
            return gone(request)
        except ImportRefused as problem:
            messages.error(request, str(problem))
        else:
            if was_ready:
                self.log_change(request, batch, gettext_now("Made the rest void."))
            messages.success(request, after_void(batch))
        return redirect("admin:serials_batch_change", batch.pk)


def is_last(batch: Batch, stock: BatchStock) -> bool:
    """Whether nothing else of the campaign can be given out."""
    others = Batch.objects.filter(campaign=batch.campaign_id, state=State.READY)
    unlimited = others.filter(kind=Batch.Kind.FIXED, stock=None).exclude(pk=batch.pk)
    left = numbers_for(batch.campaign).left
    return left <= stock.free and not unlimited.exists()


def instead_of_void(batch: Batch) -> str:
    """What to say to whoever wants to make void what can't be."""
    if batch.state == State.READY:
        return gettext_now("Nothing is left of this batch that could be made void.")
    if batch.state in (State.VOIDING, State.VOID):
        return gettext_now("The rest of this batch is void already.")
    return gettext_now("Only a batch that is ready can be made void.")


def after_void(batch: Batch) -> str:
    if batch.is_fixed:
        return gettext_now("Nobody can redeem “%(code)s” any more.") % {
            "code": batch.code
        }
    return gettext_now("Nobody gets one of these serials any more.")
