"""How many published codes are spent here, as last counted."""

from django.db import models

from sync.models.publishing import Publication


class SpentCount(models.Model):
    """How many of a publication's codes are spent here and usable there.

    Counting reads every code of a publication, so it is done anew only when `signs` say
    that it may have changed; see sync/pulling/spent.py.
    """

    publication = models.OneToOneField(
        Publication, models.CASCADE, primary_key=True, related_name="spent_count"
    )
    total = models.PositiveIntegerField(default=0)
    signs = models.JSONField(default=dict)
    counted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.publication_id}: {self.total}"
