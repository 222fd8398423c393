"""Screens that join several apps: the campaign with its numbers, and its records."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from reports.admin.audits import AuditAdmin
from reports.admin.campaigns import CampaignOverviewAdmin
from reports.admin.records import RedemptionRecordAdmin

__all__ = ["AuditAdmin", "CampaignOverviewAdmin", "RedemptionRecordAdmin"]

admin.site.index_title = _("Overview")
