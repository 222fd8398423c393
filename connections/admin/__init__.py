"""Connections on the staff pages: credentials go in, never out."""

from connections.admin.accounts import ConnectionAdmin
from connections.admin.panel import LABELS, health_of

__all__ = ["LABELS", "ConnectionAdmin", "health_of"]
