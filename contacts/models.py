"""The people coupons go to, and the lists that pick them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from connections.models import Connection


class Contact(models.Model):
    """A person: known by a LINE user id of one account, by the shop's own id, or both."""

    connection = models.ForeignKey(
        Connection,
        models.PROTECT,
        null=True,
        blank=True,
        verbose_name=_("LINE account"),
        related_name="contacts",
    )
    line_user_id = models.CharField(  # noqa: DJ001
        _("LINE user id"),
        max_length=40,
        null=True,
        blank=True,
    )
    external_id = models.CharField(  # noqa: DJ001
        _("the shop's own id"),
        max_length=64,
        null=True,
        blank=True,
    )
    name = models.CharField(_("name"), max_length=100, blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    note_1 = models.CharField(_("note 1"), max_length=200, blank=True)
    note_2 = models.CharField(_("note 2"), max_length=200, blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    is_reachable = models.BooleanField(
        _("reachable"),
        default=True,
        help_text=_("Off once the contact blocks the account on LINE."),
    )
    # LINE's own time of the newest follow or unfollow we applied: events arrive out
    # of order, and an older one must not win.
    reach_changed_at = models.DateTimeField(null=True, editable=False)
    # When to ask LINE for the name; empty: no longer, or never.
    name_due_at = models.DateTimeField(null=True, editable=False)
    name_tries = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("since"), auto_now_add=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "line_user_id"],
                condition=Q(line_user_id__isnull=False),
                name="contact_line_user_once",
                violation_error_message=_(
                    "This LINE account has a contact with this user id already. "
                    "Change that one."
                ),
            ),
            models.UniqueConstraint(
                fields=["external_id"],
                condition=Q(external_id__isnull=False),
                name="contact_external_id_once",
                violation_error_message=_(
                    "Another contact has this id of the shop already."
                ),
            ),
            models.CheckConstraint(
                condition=Q(line_user_id=None) | Q(connection__isnull=False),
                name="contact_line_user_has_connection",
                violation_error_message=_(
                    "Choose the LINE account that this user id belongs to."
                ),
            ),
            models.CheckConstraint(
                condition=~Q(line_user_id="") & ~Q(external_id=""),
                name="contact_ids_null_not_empty",
            ),
        ]
        indexes = [
            models.Index(
                fields=["name_due_at"],
                condition=Q(name_due_at__isnull=False),
                name="contact_name_due",
            ),
        ]

    def __str__(self) -> str:
        return (
            self.name or self.external_id or gettext("Contact %(id)s") % {"id": self.pk}
        )

    @property
    def short_line_id(self) -> str:
        """The LINE user id as lists and logs may show it."""
        return f"{self.line_user_id[:4]}…" if self.line_user_id else ""


class ContactList(models.Model):
    """A list that a delivery can go to."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    contacts = models.ManyToManyField(
        Contact, through="Membership", related_name="lists", verbose_name=_("contacts")
    )
    created_at = models.DateTimeField(_("made"), auto_now_add=True)

    class Meta:
        verbose_name = _("list")
        verbose_name_plural = _("lists")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One contact on one list."""

    contact_list = models.ForeignKey(
        ContactList, models.CASCADE, related_name="members", verbose_name=_("list")
    )
    contact = models.ForeignKey(
        Contact, models.CASCADE, related_name="memberships", verbose_name=_("contact")
    )

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.UniqueConstraint(
                fields=["contact_list", "contact"], name="membership_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact} · {self.contact_list}"


class ContactImport(models.Model):
    """A CSV of contacts that was checked and waits for a person's yes."""

    connection = models.ForeignKey(
        Connection, models.CASCADE, verbose_name=_("LINE account")
    )
    # A list that exists, the name of one to make, or neither.
    contact_list = models.ForeignKey(
        ContactList, models.CASCADE, null=True, verbose_name=_("list")
    )
    new_list = models.CharField(_("new list"), max_length=60, blank=True)
    # In the table, because the next request may reach another machine.
    content = models.BinaryField()
    # How far it came: a web request does what it can, the next one goes on.
    next_row = models.PositiveIntegerField(default=0, editable=False)
    new = models.PositiveIntegerField(default=0, editable=False)
    changed = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("uploaded by")
    )
    created_at = models.DateTimeField(_("uploaded"))

    class Meta:
        verbose_name = _("import of contacts")
        verbose_name_plural = _("imports of contacts")

    def __str__(self) -> str:
        return f"{self.connection} {self.created_at:%Y-%m-%d}"
