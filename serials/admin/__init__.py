"""Screens for batches of serials; `reports` registers them, with each batch's stock."""

from serials.admin.batches import BatchAdmin

__all__ = ["BatchAdmin"]
