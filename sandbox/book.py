"""The accounts of one provider: in dictionaries here, in the file behind them."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from sandbox.errors import WorldError
from sandbox.storage import Storage

ADDRESS = re.compile(r"https?://[^\s/]+\S{0,500}")


def is_whole(text: str) -> bool:
    """Whether UTF-8 can say it: JSON can hold half of an emoji."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


class Kept(Protocol):
    """An account as a book needs it."""

    name: str

    def settings(self) -> dict[str, Any]:
        """The part a person may set."""


Account = TypeVar("Account", bound=Kept)


class Book(Generic[Account]):
    """Accounts by name. `now` gives seconds since 1970 by the sandbox's clock."""

    provider = ""  # its name in the file and in sentences

    def __init__(self, storage: Storage, now: Callable[[], float]) -> None:
        self.storage = storage
        self.now = now
        self.accounts: dict[str, Account] = {}
        for _, _, settings in self._kept("account"):
            self.put(**settings)
        self._load()

    def new_account(self, name: str) -> Account:
        """One with the usual settings."""
        raise NotImplementedError

    def check(self, account: Account, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings in their own types. Raises WorldError."""
        raise NotImplementedError

    def _load(self) -> None:
        """Read what the accounts hold from the file."""

    def put(self, name: str, **settings: Any) -> Account:
        """Make an account, or change what is given of it. Raises WorldError."""
        if not name.strip():
            raise WorldError("An account needs a name.")
        account = self.accounts.get(name) or self.new_account(name)
        unknown = set(settings) - set(account.settings())
        if unknown:
            raise WorldError(f"An account has no {', '.join(sorted(unknown))}.")
        url = settings.get("webhook_url")
        if isinstance(url, str) and url and not ADDRESS.fullmatch(url):
            raise WorldError("A webhook address starts with http:// or https://.")
        for key, value in self.check(account, settings).items():
            setattr(account, key, value)
        self.accounts[name] = account
        self.save_account(account)
        return account

    def save_account(self, account: Account) -> None:
        """Keep its settings."""
        self._keep("account", account.name, "", account.settings())

    def account(self, name: str | None = None) -> Account:
        """The account of this name, or the first one. Raises WorldError."""
        if name is None and self.accounts:
            return next(iter(self.accounts.values()))
        found = self.accounts.get(name or "")
        if found is None:
            what = f" {name!r}" if name else " yet"
            raise WorldError(f"There is no {self.provider} account{what}.")
        return found

    def reset(self) -> None:
        """Forget what the accounts hold; they keep their settings."""
        old, self.accounts = self.accounts, {}
        for account in old.values():
            self.put(**account.settings())

    # The file

    def _keep(self, kind: str, name: str, key: str, data: dict[str, Any]) -> None:
        self.storage.put("item", self._key(kind, name, key) + (json.dumps(data),))

    def _forget(self, kind: str, name: str, key: str) -> None:
        self.storage.put("item", (*self._key(kind, name, key), ""))

    def _key(self, kind: str, name: str, key: str) -> tuple[str, str, str]:
        return f"{self.provider} {kind}", name, key

    def _kept(self, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        wanted = f"{self.provider} {kind}"
        for found, name, key, data in self.storage.rows("item"):
            if found == wanted and data:
                yield name, key, json.loads(data)
