"""Our accounts at providers."""

import secrets
from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from connections.fields import EncryptedField

# Ten failures in a row and we leave a provider alone for a minute.
FAILURES_BEFORE_REST = 10
REST = timedelta(seconds=60)
OLD_SECRET_LIFE = timedelta(hours=24)
# Nothing is begun with a token that ends sooner: longer than any lease of a worker.
TOKEN_SPARE = timedelta(seconds=60)
TOKEN_FIELDS = (
    "issued_token",
    "issued_at",
    "issued_until",
    "renewing_until",
    "renewal_problem",
    "rejected_at",
)


def make_hook_key() -> str:
    return secrets.token_urlsafe(18)


class Connection(models.Model):
    """One account at a provider: credentials (encrypted), health, quota."""

    class Provider(models.TextChoices):
        LINE = "line", _("LINE")
        PADDLE = "paddle", _("Paddle Classic")
        VIVOLDI = "vivoldi", _("Vivoldi")

    class TokenKind(models.TextChoices):
        """Where a LINE access token comes from."""

        LONG_LIVED = "long_lived", _("long-lived, issued in the console")
        STATELESS = "stateless", _("stateless, issued by us every few minutes")
        V2_1 = "v2_1", _("v2.1, issued by us with a key of ours")

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")

    provider = models.CharField(_("provider"), max_length=10, choices=Provider)
    name = models.CharField(_("name"), max_length=60, unique=True)
    # LINE: the bot's user id, which its webhooks name as "destination". Paddle: the
    # vendor id.
    account_id = models.CharField(_("account id"), max_length=64, blank=True)
    # What lets us in: LINE's long-lived token, Paddle's auth code, Vivoldi's API key.
    access_token = EncryptedField(_("access token"), blank=True)
    # What webhooks are signed with: LINE's channel secret, Vivoldi's webhook secret.
    secret = EncryptedField(_("channel secret"), blank=True)
    # Paddle's, PEM: what its webhooks are checked with. Nothing secret.
    public_key = models.TextField(_("public key"), blank=True)
    # LINE tokens that we issue ourselves: the channel, our key (JWK), and what we have.
    token_kind = models.CharField(
        _("kind of token"),
        max_length=10,
        choices=TokenKind,
        default=TokenKind.LONG_LIVED,
    )
    channel_id = models.CharField(_("channel id"), max_length=20, blank=True)
    private_key = EncryptedField(_("private key"), blank=True)
    key_id = models.CharField(_("key id"), max_length=80, blank=True)
    # The key that takes over once LINE has issued a token for it.
    next_private_key = EncryptedField(blank=True, default="", editable=False)
    next_key_id = models.CharField(max_length=80, blank=True, default="")
    issued_token = EncryptedField(blank=True, editable=False)
    issued_at = models.DateTimeField(null=True, editable=False)
    issued_until = models.DateTimeField(null=True, editable=False)
    renewing_until = models.DateTimeField(null=True, editable=False)  # lease
    # Why the last renewal failed, while the token of before still does.
    renewal_problem = models.CharField(
        max_length=300, blank=True, default="", editable=False
    )
    # LINE refused the token before this one, and no call has succeeded since.
    rejected_at = models.DateTimeField(null=True, editable=False)
    # How often we may call; empty: the provider's usual figure.
    calls_a_minute = models.PositiveIntegerField(
        _("calls a minute"), null=True, blank=True
    )
    # LINE cuts the old secret off at once when a new one is issued; webhooks already
    # on their way carry the old one's signature.
    old_secret = EncryptedField(_("previous channel secret"), blank=True)
    # One that leaked must not stay good for ever.
    old_secret_until = models.DateTimeField(null=True, editable=False)
    hook_key = models.CharField(
        max_length=40, unique=True, editable=False, default=make_hook_key
    )

    state = models.CharField(
        _("state"), max_length=10, choices=State, default=State.ACTIVE
    )
    pause_reason = models.CharField(_("why it is paused"), max_length=500, blank=True)
    last_contact_at = models.DateTimeField(_("last contact"), null=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    failures = models.PositiveIntegerField(default=0, editable=False)
    resting_until = models.DateTimeField(null=True, editable=False)
    quota = models.PositiveIntegerField(
        _("messages a month"), null=True, editable=False
    )
    quota_used = models.PositiveIntegerField(
        _("messages used"), null=True, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "account_id"],
                condition=~Q(account_id=""),
                name="connection_account_once",
                violation_error_message=_(
                    "Another connection has this account already. Change that one."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def issues_tokens(self) -> bool:
        """Whether we issue the access token ourselves.

        A pasted one goes on being used until there is a key that LINE knows.
        """
        if self.token_kind == self.TokenKind.V2_1:
            return bool(self.key_id or not self.access_token)
        return self.token_kind == self.TokenKind.STATELESS

    def has_token_at(self, at: datetime) -> bool:
        """Whether the token we issued is good for as long as a block of work takes."""
        return self.issued_until is not None and at + TOKEN_SPARE < self.issued_until

    def has_fresh_token_at(self, at: datetime) -> bool:
        """Whether it has at least a third of its life before it."""
        if not self.has_token_at(at) or not (self.issued_at and self.issued_until):
            return False
        return at < self.issued_until - (self.issued_until - self.issued_at) / 3

    def forget_token(self) -> set[str]:
        """Let the next call issue a new token; the caller saves the named fields."""
        self.issued_token = self.renewal_problem = ""
        self.issued_at = self.issued_until = self.renewing_until = None
        self.rejected_at = None
        return set(TOKEN_FIELDS)

    def secrets_at(self, at: datetime) -> list[str]:
        """The secrets a webhook may be signed with at `at`, newest first."""
        secrets = [self.secret]
        if self.has_old_secret_at(at):
            secrets.append(self.old_secret)
        return [secret for secret in secrets if secret]

    def has_old_secret_at(self, at: datetime) -> bool:
        """Whether the previous channel secret still counts at `at`."""
        return self.old_secret_until is not None and at < self.old_secret_until

    def change_secret(self, secret: str, *, at: datetime) -> None:
        """Put a new channel secret in place of the old one; the caller saves."""
        if self.secret and self.secret != secret:
            self.old_secret = self.secret
            self.old_secret_until = at + OLD_SECRET_LIFE
        self.secret = secret

    def forget_old_secret(self) -> None:
        """Stop taking the previous channel secret; the caller saves."""
        self.old_secret, self.old_secret_until = "", None

    def pause(self, reason: str, *, by_hand: bool = False) -> None:
        """Stop all sending through this account until a person resumes it."""
        changes = {"pause_reason": reason[:500]}
        if not by_hand:
            changes["last_error"] = reason[:500]
        Connection.objects.filter(pk=self.pk).update(state=self.State.PAUSED, **changes)

    def resume(self) -> None:
        """Let sending go on."""
        Connection.objects.filter(pk=self.pk).update(
            state=self.State.ACTIVE,
            pause_reason="",
            failures=0,
            resting_until=None,
            rejected_at=None,
        )

    def note_success(self, *, at: datetime) -> None:
        """Forget earlier failures: the provider answers."""
        Connection.objects.filter(pk=self.pk).update(
            last_contact_at=at,
            last_error="",
            failures=0,
            resting_until=None,
            rejected_at=None,
        )

    def note_failures(self, count: int, detail: str, *, at: datetime) -> None:
        """Count failures in a row; from ten on, rest for a minute."""
        row = Connection.objects.filter(pk=self.pk)
        row.update(failures=F("failures") + count, last_error=detail[:500])
        row.filter(failures__gte=FAILURES_BEFORE_REST).update(
            resting_until=at + REST, failures=0
        )


# Not to be read where a lost key must not break a page.
SECRETS = tuple(
    field.name
    for field in Connection._meta.local_fields
    if isinstance(field, EncryptedField)
)


class IssuedToken(models.Model):
    """A v2.1 token of ours that LINE still takes: LINE allows 30 of them.

    Kept because only whoever has a token can revoke it.
    """

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="issued_tokens"
    )
    token = EncryptedField()
    key_id = models.CharField(max_length=200)  # LINE's name for this token
    issued_at = models.DateTimeField()
    good_until = models.DateTimeField()

    def __str__(self) -> str:
        return self.key_id


class Bucket(models.Model):
    """How fast we may call one endpoint: time is booked ahead, nobody is refused."""

    connection = models.ForeignKey(Connection, models.CASCADE)
    endpoint = models.CharField(max_length=20)
    free_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "endpoint"], name="bucket_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.endpoint}"
