"""The pages people see: friends, a phone, faults. Plain forms; a script polls."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sandbox import flex
from sandbox.calls import WORLD
from sandbox.control import set_fault
from sandbox.coupon_cards import Card, card_of
from sandbox.courier import NO_ADDRESS
from sandbox.every import CALLS
from sandbox.faults import EVERY_CALL, KINDS, FaultError
from sandbox.line.calls import POSTMAN
from sandbox.line.messages import is_image_url
from sandbox.redeliver import redeliver as post_again
from sandbox.world import Channel, Friend, Shown, State, World, WorldError

HERE = Path(__file__).parent
TEMPLATES = web.AppKey("templates", Environment)
SHOWN_FRIENDS = 100
SHOWN_MESSAGES = 100
SHOWN_LOG = 25
SECURITY = {
    # Message colours and sizes stand in style attributes; flex.py vets each value.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
        "style-src-attr 'unsafe-inline'; img-src 'self' http: https:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" Chromium sends `Origin: null` even for our own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATE_WORDS = {
    State.FOLLOWS: "Follows",
    State.BLOCKED: "Blocked",
    State.NONE: "Not a friend yet",
}
OUTCOMES = {
    "OK": "taken",
    NO_ADDRESS: "no webhook address set",
    "could_not_connect": "could not connect",
    "request_timeout": "no answer in time",
    "error_status_code": "refused",
    "unclassified": "connection broke",
}
CALL_TITLES = {EVERY_CALL: "Every call"} | {call.name: call.title for call in CALLS}


def new_templates() -> Environment:
    """The templates, with everything escaped and nothing undefined."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message of a chat as the template draws it."""

    id: str
    kind: str
    mine: bool
    clock: str
    when: str
    day: str  # set on the first message of a day
    text: str
    url: str
    card: Card | None
    bubbles: list[flex.Node]
    quick: list[flex.Action]


@dataclass(frozen=True, slots=True)
class FriendRow:
    """A line of the friends list."""

    user_id: str
    name: str
    initial: str
    tint: int
    state: State
    state_words: str
    unread: int
    preview: str
    clock: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the log: a call that came in or a webhook that went out."""

    at: float
    clock: str
    way: str
    title: str
    status: str
    good: bool
    note: str
    event_id: str = ""


# Turning what the world holds into what a page shows


def friend_rows(world: World, channel: Channel, text: str) -> list[FriendRow]:
    """The friends list, those with news first."""
    found = world.find_friends(channel, text, SHOWN_FRIENDS)
    return [friend_row(friend) for friend in found]


def friend_row(friend: Friend) -> FriendRow:
    last = friend.chat[-1] if friend.chat else None
    return FriendRow(
        user_id=friend.user_id,
        name=friend.name,
        initial=friend.name[:1].upper(),
        tint=int(friend.user_id[-2:], 16) % 6,
        state=friend.state,
        state_words=STATE_WORDS[friend.state],
        unread=friend.unread,
        preview=preview(last) if last else "",
        clock=local(last.at_ms / 1000).strftime("%H:%M") if last else "",
    )


def preview(shown: Shown) -> str:
    """A message in one line, as a chat list has it."""
    message = shown.content()
    words = {
        "text": flex.as_text(message.get("text")),
        "image": "Photo",
        "flex": flex.as_text(message.get("altText")),
        "coupon": "Coupon",
    }
    text = words.get(message["type"], flex.as_text(message.get("altText")))
    text = " ".join((text or message["type"]).split())[:80]
    return f"You: {text}" if shown.mine else text


def chat_rows(
    world: World, channel: Channel, friend: Friend, after: int = 0
) -> list[Bubble]:
    """The newest messages, or those after one, oldest first."""
    rows: list[Bubble] = []
    recent = friend.chat[-SHOWN_MESSAGES:]
    before = ""
    for place, shown in enumerate(recent):
        day = _day(shown)
        is_last = place == len(recent) - 1
        if shown.id > after:
            row = bubble(shown, day if day != before else "", with_quick=is_last)
            if row.kind == "coupon":
                card = card_of(world, channel, friend, shown.content())
                row = replace(row, card=card)
            rows.append(row)
        before = day
    return rows


def bubble(shown: Shown, day: str, *, with_quick: bool) -> Bubble:
    message = shown.content()
    moment = local(shown.at_ms / 1000)
    kind = message["type"] if message["type"] in DRAWN else "other"
    text = message.get("couponId" if kind == "coupon" else "text")
    url = flex.as_text(message.get("previewImageUrl"))
    is_flex = kind == "flex"
    return Bubble(
        id=str(shown.id),
        kind=kind,
        mine=shown.mine,
        clock=moment.strftime("%H:%M"),
        when=moment.isoformat(timespec="seconds"),
        day=day,
        text=flex.as_text(text) if kind != "other" else message["type"],
        url=url if kind == "image" and is_image_url(url) else "",
        card=None,
        bubbles=flex.bubbles_of(message.get("contents")) if is_flex else [],
        quick=_quick_replies(message) if with_quick else [],
    )


DRAWN = ("text", "image", "flex", "coupon")


def _quick_replies(message: dict[str, Any]) -> list[flex.Action]:
    items = flex.as_list(flex.as_json(message.get("quickReply")).get("items"))
    actions = [flex.action_of(flex.as_json(item).get("action")) for item in items]
    return [action for action in actions if action is not None]


def _day(shown: Shown) -> str:
    moment = local(shown.at_ms / 1000)
    return f"{moment:%a} {moment.day} {moment:%b %Y}"


def local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()


def log_rows(world: World, limit: int = SHOWN_LOG) -> list[LogRow]:
    """The last calls and webhooks together, newest first."""
    rows = [_call_row(world, place) for place in range(-1, -limit - 1, -1)]
    found = [row for row in rows if row is not None] + _webhook_rows(world, limit)
    return sorted(found, key=lambda row: row.at, reverse=True)[:limit]


def _call_row(world: World, place: int) -> LogRow | None:
    if -place > len(world.attempts):
        return None
    attempt = world.attempts[place]
    notes = [
        attempt.to[:12],
        f"key\u00a0{attempt.retry_key[:8]}" if attempt.retry_key else "",
    ]
    is_yes = attempt.accepted or attempt.fault is not None
    if 200 <= attempt.status < 300 and not is_yes:
        notes.append("refused")
    if attempt.fault:
        notes.append(f"fault: {KINDS[attempt.fault].lower()}")
    return LogRow(
        at=attempt.at,
        clock=local(attempt.at).strftime("%H:%M:%S"),
        way="in",
        title=attempt.call.replace("_", " "),
        status=str(attempt.status or "cut"),
        good=200 <= attempt.status < 300 and is_yes,
        note=" · ".join(note for note in notes if note),
    )


def _webhook_rows(world: World, limit: int) -> list[LogRow]:
    rows: list[LogRow] = []
    for event_id in reversed(world.webhooks):
        record = world.webhooks[event_id]
        for done in reversed(record.tries):
            again = "redelivered, " if done.is_redelivery else ""
            rows.append(
                LogRow(
                    at=done.at,
                    clock=local(done.at).strftime("%H:%M:%S"),
                    way="out",
                    title=f"webhook {record.type}",
                    status=str(done.status or "–"),
                    good=done.reason == "OK",
                    note=f"{again}{OUTCOMES[done.reason]} · {done.ms} ms",
                    event_id=event_id,
                )
            )
        if len(rows) >= limit:
            break
    return rows


# Pages


def page(request: web.Request, name: str, **values: Any) -> web.Response:
    """A template as a response; a half emoji in a message does not break it."""
    html = render(request, name, **values)
    return web.Response(
        body=html.encode(errors="replace"),
        content_type="text/html",
        charset="utf-8",
        headers=SECURITY,
    )


def render(request: web.Request, name: str, **values: Any) -> str:
    return request.app[TEMPLATES].get_template(name).render(**values)


def frame(request: web.Request, channel: Channel) -> dict[str, Any]:
    """What every page has: the channel, its friends, the log."""
    world = request.app[WORLD]
    text = request.query.get("q", "")[:100]
    several = len(world.channels) > 1
    return {
        "channel": channel,
        "channels": list(world.channels) if several else [],
        # Keeps a page on its channel; empty while there is only one.
        "suffix": "?" + urlencode({"channel": channel.name}) if several else "",
        "friends": friend_rows(world, channel, text),
        "search": text,
        "log": log_rows(world),
        "faults": world.faults.active(),
        "call_titles": CALL_TITLES,
        "kinds": KINDS,
        "error": request.query.get("error", "")[:200],
        "friend": None,
    }


def channel_of(request: web.Request) -> Channel:
    try:
        return request.app[WORLD].channel(request.query.get("channel"))
    except WorldError as error:
        raise web.HTTPNotFound(text=str(error)) from None


def friend_of(request: web.Request) -> tuple[Channel, Friend]:
    channel = channel_of(request)
    try:
        friend = request.app[WORLD].friend(channel, request.match_info["user_id"])
    except WorldError as error:
        raise web.HTTPNotFound(text=str(error)) from None
    return channel, friend


async def friends_page(request: web.Request) -> web.StreamResponse:
    return page(request, "friends.html", **frame(request, channel_of(request)))


async def phone_page(request: web.Request) -> web.StreamResponse:
    channel, friend = friend_of(request)
    request.app[WORLD].mark_read(channel, friend)
    values = frame(request, channel) | {
        "friend": friend_row(friend),
        "messages": chat_rows(request.app[WORLD], channel, friend),
        "last": friend.chat[-1].id if friend.chat else 0,
    }
    return page(request, "phone.html", **values)


async def faults_page(request: web.Request) -> web.StreamResponse:
    values = frame(request, channel_of(request))
    values["log"] = log_rows(request.app[WORLD], 100)
    return page(request, "faults.html", **values)


async def news(request: web.Request) -> web.StreamResponse:
    """What changed, as pieces of HTML for the script that polls."""
    world, channel = request.app[WORLD], channel_of(request)
    user_id, after = request.query.get("friend"), request.query.get("after", "0")
    values = frame(request, channel)
    answer: dict[str, Any] = {"messages": "", "last": after, "state": ""}
    friend = channel.friends.get(user_id or "")
    if friend is not None and after.isascii() and after.isdigit() and len(after) < 30:
        world.mark_read(channel, friend)
        values["friend"] = friend_row(friend)
        values["messages"] = chat_rows(world, channel, friend, int(after))
        values["friends"] = friend_rows(world, channel, values["search"])
        answer["messages"] = render(request, "_messages.html", **values)
        answer["last"] = str(friend.chat[-1].id if friend.chat else 0)
        answer["state"] = friend.state.value
    answer["friends"] = render(request, "_friends.html", **values)
    answer["log"] = render(request, "_log.html", **values)
    return web.json_response(answer, headers=SECURITY)


# Forms


def back(request: web.Request, path: str, error: str = "") -> web.StreamResponse:
    query = {"channel": request.query.get("channel", ""), "error": error}
    text = urlencode({name: value for name, value in query.items() if value})
    location = f"{path}?{text}" if text else path
    return web.Response(status=303, headers={"Location": location})


async def form_of(request: web.Request) -> dict[str, str]:
    return {k: v for k, v in (await request.post()).items() if isinstance(v, str)}


async def add_friend(request: web.Request) -> web.StreamResponse:
    """Somebody scans the account's QR code: a new friend, told by webhook."""
    channel, form = channel_of(request), await form_of(request)
    try:
        friend = request.app[WORLD].add_friend(
            channel, form.get("name", ""), follows=False
        )
    except WorldError as error:
        return back(request, "/", str(error))
    if not friend.follows:
        request.app[POSTMAN].follow(channel, friend)
    return back(request, f"/phone/{friend.user_id}")


async def phone_form(request: web.Request) -> web.StreamResponse:
    """One of the buttons of a phone was pressed."""
    channel, friend = friend_of(request)
    postman, form = request.app[POSTMAN], await form_of(request)
    does, text = request.match_info["does"], form.get("text", "")
    error = ""
    try:
        if does == "follow" and not friend.follows:
            postman.follow(channel, friend)
        elif does == "block" and friend.state is not State.BLOCKED:
            postman.unfollow(channel, friend)
        elif does == "say":
            postman.say(channel, friend, text)
        elif does == "press":
            postman.press(channel, friend, form.get("data", ""), text)
    except WorldError as refusal:
        error = str(refusal)
    return back(request, f"/phone/{friend.user_id}", error)


async def add_fault(request: web.Request) -> web.StreamResponse:
    """Switch a fault on, from the form: for some calls, a share of them, or all."""
    form = await form_of(request)
    try:
        options = _how_often(form.get("often", ""))
        call, kind = form.get("call", ""), form.get("kind", "")
        set_fault(request.app[WORLD], call, kind, **options)
    except FaultError as error:
        return back(request, "/faults", str(error))
    return back(request, "/faults")


def _how_often(text: str) -> dict[str, Any]:
    """`3` is three calls, `15%` a share of them, nothing is until switched off."""
    text = text.strip()
    if not text:
        return {}
    number = text.removesuffix("%").strip()
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise FaultError("How often is a number like 3, a share like 15%, or empty.")
    return {"share": int(number) / 100} if "%" in text else {"times": int(number)}


async def remove_fault(request: web.Request) -> web.StreamResponse:
    number = (await form_of(request)).get("id", "")
    if number.isascii() and number.isdigit() and len(number) < 10:
        request.app[WORLD].faults.remove(int(number))
    return back(request, "/faults")


async def redeliver(request: web.Request) -> web.StreamResponse:
    error = ""
    try:
        post_again(request.app, (await form_of(request)).get("event", ""))
    except WorldError as refusal:
        error = str(refusal)
    return back(request, "/faults", error)


def routes() -> list[web.AbstractRouteDef]:
    """Everything people look at."""
    return [
        web.get("/", friends_page),
        web.post("/friends", add_friend),
        web.get("/phone/{user_id}", phone_page),
        web.post("/phone/{user_id}/{does:follow|block|say|press}", phone_form),
        web.get("/faults", faults_page),
        web.post("/faults", add_fault),
        web.post("/faults/off", remove_fault),
        web.post("/faults/redeliver", redeliver),
        web.get("/news", news),
        web.static("/static", HERE / "static"),
    ]
