"""Everything the sandbox knows: channels, friends, phones, what was accepted.

All of it lives in dictionaries on the event loop's thread, so a step without an
`await` is a step nobody can interrupt: that is what makes a retry key count once.
"""

import hashlib
import itertools
import json
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sandbox.errors import WorldError as WorldError
from sandbox.faults import FaultBook
from sandbox.line.couponbook import CouponBook
from sandbox.line.tokenbook import TokenBook, is_public_key
from sandbox.pace import Bucket
from sandbox.paddle.book import PaddleBook
from sandbox.storage import Storage
from sandbox.vivoldi.book import VivoldiBook

RETRY_KEY_LIFE = 24 * 60 * 60  # seconds; LINE's figure
REPLY_TOKEN_LIFE = 60  # seconds; LINE's figure
KEPT_MESSAGES = 300_000  # over all phones; the oldest leave first
KEPT_ATTEMPTS = 200_000
KEPT_WEBHOOKS = 20_000
RECENT_FRIENDS = 200
FIRST_MESSAGE_ID = 500_000_000_000_000_000  # eighteen digits, as LINE's ids have
USER_ID = re.compile(r"U[0-9a-f]{32}")
NAME_LIMIT = 100


class State(StrEnum):
    """What a person is to an account."""

    NONE = "none"
    FOLLOWS = "follows"
    BLOCKED = "blocked"


class Shown(NamedTuple):
    """A message on a phone: the `place`-th of the messages in a request's body.

    The body is kept as the bytes that came, shared by all who received it.
    """

    id: int
    at_ms: int
    mine: bool
    body: bytes
    place: int

    def content(self) -> dict[str, Any]:
        """The message object as it was sent."""
        message: dict[str, Any] = json.loads(self.body)["messages"][self.place]
        return message


class Accepted(NamedTuple):
    """What a retry key stands for."""

    at: float
    request_id: str
    message_ids: tuple[int, ...]


@dataclass(slots=True)
class Friend:
    """One person as one account sees them, and their phone's chat with it."""

    user_id: str
    name: str = ""  # empty: somebody wrote to this id, but nobody set it up
    language: str = "en"
    state: State = State.NONE
    sent: int = 0  # sends accepted for this user, shown or not
    unseen: int = 0  # those of them that no phone shows
    read_to: int = 0  # id of the last message that was looked at
    chat: list[Shown] = field(default_factory=list)

    @property
    def follows(self) -> bool:
        return self.state is State.FOLLOWS

    @property
    def unread(self) -> int:
        """Messages of the account that were not looked at yet."""
        newer = itertools.takewhile(lambda m: m.id > self.read_to, reversed(self.chat))
        return sum(not shown.mine for shown in newer)


@dataclass(slots=True)
class ReplyToken:
    """A right to answer one event, once."""

    user_id: str
    event_ms: int
    good_until: float


@dataclass(slots=True)
class Channel:
    """A LINE official account and its settings."""

    name: str
    token: str
    secret: str
    bot_user_id: str
    webhook_url: str = ""
    quota: int | None = None  # messages a month; None: no limit
    redelivery: bool = False  # send a failed webhook again
    verified: bool = True  # may read its follower list
    refuse_unknown: bool = False  # 400 for ids nobody set up, instead of a silent 200
    channel_id: str = ""  # what a token is asked for with; digits
    country: str = "JP"  # decides a coupon's currency
    coupon_rate: int | None = None  # calls a second of each coupon call; LINE's is 200
    public_keys: dict[str, dict[str, Any]] = field(default_factory=dict)  # JWKs by kid
    used: int = 0
    friends: dict[str, Friend] = field(default_factory=dict, repr=False)
    order: list[str] = field(default_factory=list, repr=False)
    recent: OrderedDict[str, None] = field(default_factory=OrderedDict, repr=False)
    retries: dict[bytes, Accepted] = field(default_factory=dict, repr=False)
    reply_tokens: dict[str, ReplyToken] = field(default_factory=dict, repr=False)
    buckets: dict[str, Bucket] = field(default_factory=dict, repr=False)

    def settings(self) -> dict[str, Any]:
        """The part a person may set, for the control API and for the file."""
        return {name: getattr(self, name) for name in SETTINGS}

    def has_quota_for(self, recipients: int) -> bool:
        """Whether this many more messages stay within the month's limit."""
        return self.quota is None or self.used + recipients <= self.quota


SETTINGS = (
    "name",
    "token",
    "secret",
    "bot_user_id",
    "webhook_url",
    "quota",
    "redelivery",
    "verified",
    "refuse_unknown",
    "channel_id",
    "country",
    "coupon_rate",
    "public_keys",
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that reached the sandbox."""

    at: float
    call: str
    channel: str
    status: int  # 0: the connection was cut without an answer
    accepted: bool  # this very attempt did what it asked for
    retry_key: str | None
    body_hash: str  # SHA-256, hex
    request_id: str
    fault: str | None
    to: str  # whom it named, shortened

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class WebhookTry:
    """One time a webhook was posted."""

    at: float
    status: int | None
    reason: str  # OK, or LINE's word for what went wrong
    ms: int
    is_redelivery: bool


@dataclass(slots=True)
class WebhookRecord:
    """One event and what became of it."""

    event_id: str
    channel: str
    type: str
    user_id: str
    event: dict[str, Any]  # as JSON, or the fields of a form
    provider: str = "LINE"
    tries: list[WebhookTry] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class World:
    """The state of the sandbox. `clock` gives seconds since 1970."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.time):
        self.storage = storage
        self.faults = FaultBook()
        self._clock = clock
        self._ahead = 0.0
        self._clear()
        self._load()
        self.paddle = PaddleBook(storage, self.now)
        self.vivoldi = VivoldiBook(storage, self.now)

    def _clear(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.attempts: deque[Attempt] = deque(maxlen=KEPT_ATTEMPTS)
        self.webhooks: OrderedDict[str, WebhookRecord] = OrderedDict()
        self.coupons = CouponBook(self.storage)
        self.issued = TokenBook(self.storage)
        self._by_token: dict[str, Channel] = {}
        self._shown: deque[Friend] = deque()
        self._message_ids = itertools.count(FIRST_MESSAGE_ID)
        self._body_ids = itertools.count(1)

    def reset(self) -> None:
        """Forget friends, messages, coupons, logs and faults; accounts stay."""
        channels = [channel.settings() for channel in self.channels.values()]
        self.storage.clear()
        self.faults.clear()
        self._clear()
        self._ahead = 0.0
        for settings in channels:
            self.put_channel(**settings)
        self.paddle.reset()
        self.vivoldi.reset()

    # Time

    def now(self) -> float:
        """Seconds since 1970, by the sandbox's clock."""
        return self._clock() + self._ahead

    def callers_now(self) -> float:
        """The same by the callers' own clocks, which `advance` does not move."""
        return self._clock()

    def advance(self, seconds: float) -> None:
        """Put the sandbox's clock forward, to outlive a retry key or a token."""
        self._ahead += seconds

    # Channels

    def put_channel(self, name: str, **settings: Any) -> Channel:
        """Make a channel, or change what is given of it. Raises WorldError."""
        unknown = set(settings) - set(SETTINGS)
        if unknown:
            raise WorldError(f"A channel has no {', '.join(sorted(unknown))}.")
        channel = self.channels.get(name) or Channel(
            name,
            f"{name}-token",
            f"{name}-secret",
            user_id_for(f"bot {name}"),
            channel_id=channel_id_for(name),
        )
        for key, value in settings.items():
            _check_setting(key, value)
        self._check_token(settings.get("token", channel.token), name)
        self._check_channel_id(settings.get("channel_id", channel.channel_id), name)
        for key, value in settings.items():
            setattr(channel, key, value)
        self.channels[name] = channel
        self._by_token = {c.token: c for c in self.channels.values()}
        self._save_channel(channel)
        return channel

    def _check_token(self, token: str, name: str) -> None:
        owner = self._by_token.get(token)
        if owner is not None and owner.name != name:
            raise WorldError(f"The channel {owner.name!r} has this token already.")

    def _check_channel_id(self, channel_id: str, name: str) -> None:
        owner = self.channel_of_id(channel_id)
        if owner is not None and owner.name != name:
            raise WorldError(f"The channel {owner.name!r} has this channel id already.")

    def channel(self, name: str | None = None) -> Channel:
        """The channel of this name, or the first one. Raises WorldError."""
        if name is None:
            if not self.channels:
                raise WorldError("There is no channel yet.")
            return next(iter(self.channels.values()))
        if name not in self.channels:
            raise WorldError(f"There is no channel {name!r}.")
        return self.channels[name]

    def channel_of_token(self, token: str) -> Channel | None:
        """Whom an access token lets in: the long-lived one, or one issued here."""
        issued = self.issued.live(token, self.now())
        if issued is not None:
            return self.channels.get(issued.channel)
        return self._by_token.get(token)

    def channel_of_id(self, channel_id: str) -> Channel | None:
        return next(
            (c for c in self.channels.values() if c.channel_id == channel_id), None
        )

    # Friends

    def add_friend(
        self,
        channel: Channel,
        name: str,
        *,
        user_id: str | None = None,
        follows: bool = True,
        language: str = "en",
    ) -> Friend:
        """Set a person up, or rename one; no webhook goes out.

        Without a `user_id` the same name gives the same id each time.
        """
        name = " ".join(name.split())
        if not 0 < len(name) <= NAME_LIMIT:
            raise WorldError(f"A name has 1 to {NAME_LIMIT} characters.")
        user_id = user_id or user_id_for(f"{channel.name}/{name}")
        if not USER_ID.fullmatch(user_id):
            raise WorldError("A user id is U and 32 of 0-9 and a-f.")
        friend = self._friend_or_stranger(channel, user_id)
        friend.name, friend.language = name, language
        if follows:
            friend.state = State.FOLLOWS
        self._save_friend(channel, friend)
        return friend

    def friend(self, channel: Channel, user_id: str) -> Friend:
        """A person who was set up. Raises WorldError."""
        friend = channel.friends.get(user_id)
        if friend is None or not friend.name:
            raise WorldError("There is no such friend.")
        return friend

    def set_state(self, channel: Channel, friend: Friend, state: State) -> None:
        friend.state = state
        self._touch(channel, friend)
        self._save_friend(channel, friend)

    def mark_read(self, channel: Channel, friend: Friend) -> None:
        """Somebody looked at this phone."""
        last = friend.chat[-1].id if friend.chat else 0
        if friend.read_to < last:
            friend.read_to = last
            self._save_friend(channel, friend)

    def find_friends(self, channel: Channel, text: str, limit: int) -> list[Friend]:
        """Up to `limit` people: the latest to have had news first."""
        wanted = text.casefold().strip()
        found: dict[str, Friend] = {}
        for user_id in itertools.chain(reversed(channel.recent), channel.order):
            friend = channel.friends[user_id]
            if friend.name and (wanted in friend.name.casefold() or wanted == user_id):
                found[user_id] = friend
            if len(found) == limit:
                break
        return list(found.values())

    def followers(self, channel: Channel) -> Iterator[str]:
        return (u for u in channel.order if channel.friends[u].follows)

    def _friend_or_stranger(self, channel: Channel, user_id: str) -> Friend:
        friend = channel.friends.get(user_id)
        if friend is None:
            friend = channel.friends[user_id] = Friend(user_id)
            channel.order.append(user_id)
        return friend

    def _touch(self, channel: Channel, friend: Friend) -> None:
        channel.recent[friend.user_id] = None
        channel.recent.move_to_end(friend.user_id)
        if len(channel.recent) > RECENT_FRIENDS:
            channel.recent.popitem(last=False)

    # Messages

    def accept(
        self, channel: Channel, user_ids: Iterable[str], body: bytes, messages: int
    ) -> tuple[int, ...]:
        """Count one send for each user and show it on the phones that follow.

        `body` is the request as it came, with `messages` message objects in it.
        Returns the ids of the messages to the last user.
        """
        at_ms = int(self.now() * 1000)
        body_id = self._save_body(body)
        ids: tuple[int, ...] = ()
        for user_id in user_ids:
            friend = self._friend_or_stranger(channel, user_id)
            friend.sent += 1
            ids = tuple(itertools.islice(self._message_ids, messages))
            if friend.follows:
                for place, message_id in enumerate(ids):
                    shown = Shown(message_id, at_ms, False, body, place)
                    self._show(channel, friend, shown, body_id)
            else:
                friend.unseen += 1
            self._save_friend(channel, friend)
        return ids

    def write(self, channel: Channel, friend: Friend, text: str) -> Shown:
        """Put what the person wrote on their own phone."""
        body = json.dumps({"messages": [{"type": "text", "text": text}]}).encode()
        at_ms = int(self.now() * 1000)
        shown = Shown(next(self._message_ids), at_ms, True, body, 0)
        self._show(channel, friend, shown, self._save_body(body))
        return shown

    def _show(
        self, channel: Channel, friend: Friend, shown: Shown, body_id: int
    ) -> None:
        friend.chat.append(shown)
        self._remember_shown(friend)
        self._touch(channel, friend)
        self.storage.put(
            "message",
            (
                shown.id,
                channel.name,
                friend.user_id,
                shown.at_ms,
                shown.mine,
                body_id,
                shown.place,
            ),
        )

    def _remember_shown(self, friend: Friend) -> None:
        self._shown.append(friend)
        if len(self._shown) > KEPT_MESSAGES:
            del self._shown.popleft().chat[0]

    def charge(self, channel: Channel, recipients: int) -> None:
        """Take these messages from the month's quota."""
        channel.used += recipients
        self._save_channel(channel)

    def billable(self, channel: Channel, user_ids: Iterable[str]) -> int:
        """How many of these LINE would bill: those it can reach."""
        reached = 0
        for user_id in user_ids:
            friend = channel.friends.get(user_id)
            reached += friend is not None and friend.follows
        return reached

    # Retry keys

    def accepted_before(self, channel: Channel, retry_key: bytes) -> Accepted | None:
        """What this key was accepted for within the last 24 hours."""
        earlier = channel.retries.get(retry_key)
        if earlier is None or self.now() - earlier.at >= RETRY_KEY_LIFE:
            return None
        return earlier

    def remember(
        self,
        channel: Channel,
        retry_key: bytes,
        request_id: str,
        message_ids: tuple[int, ...],
    ) -> None:
        """From now on this key means: done already."""
        accepted = Accepted(self.now(), request_id, message_ids)
        channel.retries[retry_key] = accepted
        ids = json.dumps(message_ids)
        self.storage.put(
            "accepted", (channel.name, retry_key, accepted.at, request_id, ids)
        )

    # Reply tokens

    def give_reply_token(
        self, channel: Channel, token: str, user_id: str, event_ms: int
    ) -> None:
        good_until = self.now() + REPLY_TOKEN_LIFE
        channel.reply_tokens[token] = ReplyToken(user_id, event_ms, good_until)
        self._drop_old_tokens(channel)

    def use_reply_token(self, channel: Channel, token: str) -> str | None:
        """Whom this token lets us answer; it is spent now. None: not any more."""
        known = channel.reply_tokens.pop(token, None)
        if known is None or known.good_until < self.now():
            return None
        return known.user_id

    def _drop_old_tokens(self, channel: Channel) -> None:
        tokens = channel.reply_tokens
        while tokens:
            oldest = next(iter(tokens))
            # An old token wakes up again if its event is redelivered in 20 minutes.
            if tokens[oldest].good_until + 1200 > self.now():
                return
            del tokens[oldest]

    # Logs

    def log_webhook(self, record: WebhookRecord) -> None:
        self.webhooks[record.event_id] = record
        if len(self.webhooks) > KEPT_WEBHOOKS:
            self.webhooks.popitem(last=False)

    # The file

    def _save_channel(self, channel: Channel) -> None:
        row = (channel.name, json.dumps(channel.settings()), channel.used)
        self.storage.put("channel", row)

    def _save_friend(self, channel: Channel, friend: Friend) -> None:
        self.storage.put(
            "friend",
            (
                channel.name,
                friend.user_id,
                friend.name,
                friend.language,
                friend.state.value,
                friend.sent,
                friend.unseen,
                friend.read_to,
            ),
        )

    def _save_body(self, body: bytes) -> int:
        body_id = next(self._body_ids)
        self.storage.put("body", (body_id, body))
        return body_id

    def _load(self) -> None:
        for _, settings, used in self.storage.rows("channel"):
            channel = self.put_channel(**json.loads(settings))
            channel.used = used
            self._save_channel(channel)
        self._load_friends()
        self._load_messages()
        self.coupons.load()
        self.issued.load(self.now())
        for name, key, at, request_id, ids in self.storage.rows("accepted"):
            accepted = Accepted(at, request_id, tuple(json.loads(ids)))
            self.channels[name].retries[key] = accepted

    def _load_friends(self) -> None:
        for row in self.storage.rows("friend"):
            channel = self.channels[row[0]]
            friend = self._friend_or_stranger(channel, row[1])
            friend.name, friend.language, friend.state = row[2], row[3], State(row[4])
            friend.sent, friend.unseen, friend.read_to = row[5:]

    def _load_messages(self) -> None:
        rows = list(self.storage.rows("message", last=KEPT_MESSAGES))
        first_body = min((row[5] for row in rows), default=0)
        since = self.now() - RETRY_KEY_LIFE
        self.storage.trim(rows[0][0] if rows else 0, first_body, since)
        bodies: dict[int, bytes] = dict(self.storage.rows("body"))
        for message_id, name, user_id, at_ms, mine, body_id, place in rows:
            channel = self.channels[name]
            friend = self._friend_or_stranger(channel, user_id)
            body = bodies[body_id]
            friend.chat.append(Shown(message_id, at_ms, bool(mine), body, place))
            self._remember_shown(friend)
            self._touch(channel, friend)
        if rows:
            self._message_ids = itertools.count(rows[-1][0] + 1)
        self._body_ids = itertools.count(max(bodies, default=0) + 1)


def user_id_for(seed: str) -> str:
    """A user id that is the same each time for the same words."""
    return "U" + hashlib.sha256(seed.encode(errors="replace")).hexdigest()[:32]


def channel_id_for(name: str) -> str:
    """A channel id, ten digits as LINE's have, the same each time for a name."""
    digest = hashlib.sha256(f"channel {name}".encode(errors="replace")).hexdigest()
    return str(1_000_000_000 + int(digest, 16) % 1_000_000_000)


def _check_setting(key: str, value: object) -> None:
    if key == "quota":
        good = value is None or (type(value) is int and value >= 0)
    elif key == "coupon_rate":
        good = value is None or (type(value) is int and value >= 1)
    elif key == "public_keys":
        good = isinstance(value, dict) and all(map(is_public_key, value.values()))
    elif key in ("redelivery", "verified", "refuse_unknown"):
        good = isinstance(value, bool)
    else:
        good = isinstance(value, str) and (bool(value) or key == "webhook_url")
    if not good:
        raise WorldError(f"{key} cannot be {value!r}.")
    if key == "bot_user_id" and not USER_ID.fullmatch(str(value)):
        raise WorldError("bot_user_id is U and 32 of 0-9 and a-f.")
    if key == "country" and not re.fullmatch(r"[A-Z]{2}", str(value)):
        raise WorldError("country is two capital letters.")
    if key == "channel_id" and not re.fullmatch(r"[0-9]{5,20}", str(value)):
        raise WorldError("channel_id is 5 to 20 digits.")
    if key == "webhook_url" and value and not is_web_address(str(value)):
        raise WorldError("A webhook address starts with http:// or https://.")


def is_web_address(url: str) -> bool:
    """LINE wants https; here http will do, since shops run on this machine."""
    return bool(re.fullmatch(r"https?://[^\s/]+\S*", url)) and len(url) <= 500
