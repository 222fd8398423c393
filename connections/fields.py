"""A text column that is encrypted in the database."""

from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from connections.errors import SecretUnreadable

if TYPE_CHECKING:  # generic in the stubs alone
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField


def cipher() -> MultiFernet:
    """The keys of settings.FIELD_KEYS; the first encrypts, all of them decrypt."""
    return MultiFernet([Fernet(key) for key in settings.FIELD_KEYS])


class EncryptedField(TextField):
    """Text kept as a Fernet token; an empty text stays empty."""

    def get_prep_value(self, value: Any) -> Any:
        return cipher().encrypt(value.encode()).decode() if value else ""

    def from_db_value(self, value: str | None, *args: object) -> str:
        if not value:
            return ""
        try:
            return cipher().decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise SecretUnreadable(
                f"{self.model._meta.label}.{self.name} fits none of FIELD_KEYS"
            ) from error
