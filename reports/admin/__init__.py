"""Screens that join several apps: the campaign with its numbers, and its records."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from reports.admin.audits import AuditAdmin
from reports.admin.batches import BatchStockAdmin
from reports.admin.campaigns import CampaignOverviewAdmin
from reports.admin.exports import SerialExportAdmin
from reports.admin.publications import PublicationAdmin
from reports.admin.records import RedemptionRecordAdmin
from reports.admin.serials import SerialAdmin
from reports.admin.sync import (
    DifferenceAdmin,
    FoundCouponAdmin,
    RunAdmin,
    StepAdmin,
)

__all__ = [
    "AuditAdmin",
    "BatchStockAdmin",
    "CampaignOverviewAdmin",
    "DifferenceAdmin",
    "FoundCouponAdmin",
    "PublicationAdmin",
    "RedemptionRecordAdmin",
    "RunAdmin",
    "SerialAdmin",
    "SerialExportAdmin",
    "StepAdmin",
]

admin.site.index_title = _("Overview")
