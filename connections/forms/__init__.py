"""Connections as staff fill them in: a form for each provider."""

from connections.forms.base import AccountForm, KeyForm
from connections.forms.line import LineForm
from connections.forms.paddle import PaddleForm
from connections.forms.vivoldi import VivoldiForm

__all__ = ["FORMS", "AccountForm", "KeyForm", "LineForm", "PaddleForm", "VivoldiForm"]

FORMS: dict[str, type[AccountForm]] = {
    form.provider: form for form in (LineForm, PaddleForm, VivoldiForm)
}
