"""How far a look for creations that got no answer has come; see publishing/looking.py."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from connections.models import Connection


class Search(models.Model):
    """A look through all that an account has at LINE; its checkpoint is the row.

    One for each account, kept for the next look once this one is over.
    """

    connection = models.OneToOneField(
        Connection, models.CASCADE, primary_key=True, related_name="+"
    )
    # What is looked for, where the list goes on, what may be it: see Cursor.
    cursor = models.JSONField(default=dict)
    failures = models.PositiveIntegerField(default=0)  # in a row
    # Also the token that every write of its worker carries.
    leased_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("search at a provider")
        verbose_name_plural = _("searches at providers")

    def __str__(self) -> str:
        return f"{self.connection_id}"
