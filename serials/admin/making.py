"""Serials that no file brings: generated ones, or one text for everyone."""

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from serials import guessing, services
from serials.admin.pages import OwnPages, Page, chosen, person
from serials.errors import ImportRefused
from serials.forms import FixedForm, GenerateForm
from serials.models import Batch

SAMPLES = 3


class MakingPages(OwnPages):
    """Making serials of one's own."""

    def own_pages(self) -> list[Page]:
        return [
            *super().own_pages(),
            ("generate/", self.generate, "generate"),
            ("generate/samples/", require_GET(self.samples), "samples"),
            ("fixed/", self.fixed, "fixed"),
        ]

    def generate(self, request: HttpRequest) -> HttpResponseBase:
        """The form; with “Show samples” it comes back as it was, and makes nothing."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        posted = request.POST if request.method == "POST" else None
        form = GenerateForm(posted, initial=_asked_for(request))
        if form.is_valid() and "show" not in request.POST:
            batch = _make_generated(request, form)
            if batch is not None:
                return redirect("admin:serials_batch_progress", batch.pk)
        context = {"form": form, "nonce": uuid4(), **_outlook(_filled_in(form))}
        page = self.page(request, "generate.html", _("Generate serials"), **context)
        page.status_code = 400 if form.errors else 200
        return page

    def samples(self, request: HttpRequest) -> JsonResponse:
        """What the form would say to what is filled in so far; makes nothing."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = GenerateForm(request.GET)
        outlook = _outlook(form)
        answer = {
            "panel": render_to_string("serials/_samples.html", outlook, request),
            "said": outlook["verdict"].words if "verdict" in outlook else "",
            "errors": {
                name: " ".join(str(text) for text in found)
                for name, found in form.errors.items()
            },
        }
        return JsonResponse(answer, headers={"Cache-Control": "no-store"})

    def fixed(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = FixedForm(request.POST or None, initial=chosen(request))
        if request.method == "POST" and form.is_valid():
            batch = _make_fixed(request, form)
            if batch is not None:
                messages.success(request, _("The serial is ready to be given out."))
                return redirect("admin:serials_batch_change", batch.pk)
        context = {"form": form, "nonce": uuid4()}
        page = self.page(request, "fixed.html", _("New fixed serial"), **context)
        page.status_code = 400 if form.errors else 200
        return page


def nonce_of(request: HttpRequest) -> UUID | None:
    """The name that the page gave to the press of its button."""
    try:
        return UUID(request.POST.get("nonce", ""))
    except ValueError:
        return None


def _asked_for(request: HttpRequest) -> dict[str, str]:
    """What a link to the form fills in."""
    return {
        name: request.GET[name]
        for name in GenerateForm.base_fields
        if name in request.GET
    }


def _filled_in(form: GenerateForm) -> GenerateForm:
    """The form as it would be if somebody sent it off as it is shown."""
    if form.is_bound:
        return form
    return GenerateForm({field.name: field.initial for field in form})


def _outlook(form: GenerateForm) -> dict[str, Any]:
    """What the form's pattern makes, for the panel beside it; empty when it can't."""
    form.is_valid()
    pattern = form.drawn
    if pattern is None:
        return {}
    outlook: dict[str, Any] = {
        "samples": pattern.codes(SAMPLES),
        "pattern": pattern,
        "size": guessing.shown(pattern.size),
        "is_refused": form.has_error("pattern"),
    }
    quantity = form.cleaned_data.get("quantity")
    if quantity:
        others = services.made_before(form.cleaned_data.get("campaign"), pattern)
        outlook["verdict"] = guessing.judge(pattern, quantity + others)
    return outlook


def _make_generated(request: HttpRequest, form: GenerateForm) -> Batch | None:
    try:
        return services.generate(
            by=person(request), nonce=nonce_of(request), **form.cleaned_data
        )
    except ImportRefused as problem:
        form.refuse(problem)
        return None


def _make_fixed(request: HttpRequest, form: FixedForm) -> Batch | None:
    given = {k: v for k, v in form.cleaned_data.items() if k != "is_unlimited"}
    try:
        return services.make_fixed(by=person(request), nonce=nonce_of(request), **given)
    except ImportRefused as problem:
        form.refuse(problem)
        return None
