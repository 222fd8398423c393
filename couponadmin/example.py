"""A small shop to look at: two stores, people of each role, campaigns, contacts, a CSV."""

import base64
import io
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import environ
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone
from PIL import Image, ImageDraw

from campaigns.models import Campaign
from campaigns.services import move
from connections.models import Connection
from contacts.models import Contact, ContactList, Membership
from serials.models import Batch, Serial
from serials.services import make_fixed
from stores.models import Store, StoreStaff

env = environ.Env()
LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


@dataclass(frozen=True)
class Login:
    name: str
    role: str
    place: str
    full_name: str


LOGINS = [
    Login("manager", "Manager", "/admin/", "Mika Tanaka"),
    Login("editor", "Editor", "/admin/", "Leo Martin"),
    Login("viewer", "Viewer", "/admin/", "Nok Suksai"),
    Login("clerk", "Store staff", "/store/", "Aki Mori"),
    Login("clerk2", "Store staff", "/store/", "Yu-Ting Chen"),
]


def password() -> str:
    """One password for all example people, from .env so that it can be shown again."""
    return env.str("EXAMPLE_PASSWORD", default="")


def friends() -> list[tuple[str, str]]:
    """The sandbox's friends, name and LINE user id, as `make run` wrote them down."""
    pairs = env.list("SANDBOX_FRIENDS", default=[])
    return [(name, user_id) for name, _, user_id in (p.partition("=") for p in pairs)]


@transaction.atomic
def make_example(secret: str) -> None:
    """Fill an empty database; `secret` is everybody's password."""
    people = {login.name: make_person(login, secret) for login in LOGINS}
    stores = [
        Store.objects.create(name="Clover Street", address="1-2-3 Clover Street"),
        Store.objects.create(name="Station East", address="Station East, level 2"),
    ]
    StoreStaff.objects.create(store=stores[0], user=people["clerk"])
    StoreStaff.objects.create(store=stores[1], user=people["clerk2"])
    manager = people["manager"]
    move(make_coffee(manager).pk, "activate")
    move(make_cake(manager).pk, "activate")
    make_bag(manager).stores.set(stores[:1])
    move(make_beans(manager).pk, "activate")
    write_csv(settings.VAR_DIR / "example" / "serials.csv")
    make_paddle()
    make_vivoldi()
    regulars = ContactList.objects.create(name="Regulars")
    Membership.objects.bulk_create(
        Membership(contact_list=regulars, contact=contact)
        for contact in make_contacts()
    )


def make_coffee(manager: User) -> Campaign:
    """One-time serials and a picture."""
    coffee = make_campaign(
        manager,
        name="A drip coffee on us",
        instructions=(
            "Press Redeem at the counter and show the code to our staff.\n"
            "One cup per person. Not together with other offers."
        ),
        usage_condition="Any size, hot or iced",
        benefit=Campaign.Benefit.FREE,
        barcode=Campaign.Barcode.CODE128,
        background_colour="#FFF6E9",
        text_colour="#3B2A1A",
        button_colour="#8A3B12",
    )
    coffee.image.save("coffee.png", ContentFile(draw_cup()))
    make_batch(coffee, 300, name="First cups", prefix="CUP-", by=manager)
    return coffee


def make_cake(manager: User) -> Campaign:
    """A fixed serial, and a clock that starts with Redeem."""
    cake = make_campaign(
        manager,
        name="100 yen off any cake",
        instructions="Redeem when you order: the code holds for 30 minutes.",
        benefit=Campaign.Benefit.AMOUNT,
        benefit_value=100,
        currency="JPY",
        barcode=Campaign.Barcode.QR,
        expiry=Campaign.Expiry.FROM_REDEMPTION,
        expiry_amount=30,
        expiry_unit=Campaign.Unit.MINUTES,
        background_colour="#F3F0FF",
        text_colour="#2B2350",
        button_colour="#4B3BA8",
        limit_per_contact=2,
    )
    make_fixed(cake, code="FNA@5841", quantity=500, name="Cake, fixed", by=manager)
    return cake


def make_bag(manager: User) -> Campaign:
    """A draft for whoever looks around: it waits for its serials."""
    return make_campaign(
        manager,
        name="Lucky bag, members only",
        instructions="One bag a member, while they last.",
        memo="A draft to try: upload the example CSV, then activate it.",
        benefit=Campaign.Benefit.GIFT,
        barcode=Campaign.Barcode.CODE39,
        background_colour="#EAF7F1",
        button_colour="#0B6B4A",
    )


def make_beans(manager: User) -> Campaign:
    """Nothing stands against publishing it at all three providers of the sandbox."""
    beans = make_campaign(
        manager,
        name="10% off beans online",
        instructions="Type the code at the checkout, or show it in the shop.",
        benefit=Campaign.Benefit.PERCENTAGE,
        benefit_value=10,
        currency="USD",  # of the sandbox's balance at Paddle
        barcode=Campaign.Barcode.QR,
        background_colour="#FDF3EC",
        text_colour="#3B2A1A",
        button_colour="#8A3B12",
    )
    make_batch(beans, 40, name="Online", prefix="BEAN-", by=manager)
    return beans


def make_person(login: Login, secret: str) -> User:
    first, _, last = login.full_name.partition(" ")
    user = User.objects.create_user(
        login.name,
        password=secret,
        first_name=first,
        last_name=last,
        is_staff=login.place == "/admin/",
    )
    user.groups.add(Group.objects.get(name=login.role))
    return user


def make_contacts() -> list[Contact]:
    connection = Connection.objects.create(
        provider=Connection.Provider.LINE,
        name="LINE (sandbox)",
        account_id=env.str("SANDBOX_BOT_USER_ID", default=""),
        access_token=env.str("SANDBOX_LINE_TOKEN", default=""),
        secret=env.str("SANDBOX_LINE_SECRET", default=""),
    )
    keep_hook_key(connection, env.str("SANDBOX_HOOK_KEY", default=""))
    return Contact.objects.bulk_create(
        Contact(connection=connection, name=name, line_user_id=user_id)
        for name, user_id in friends()
    )


def make_paddle() -> None:
    """The sandbox's Paddle account, if `make run` wrote one down."""
    auth_code = env.str("SANDBOX_PADDLE_AUTH_CODE", default="")
    if auth_code:
        connection = Connection.objects.create(
            provider=Connection.Provider.PADDLE,
            name="Paddle (sandbox)",
            account_id=env.str("SANDBOX_PADDLE_VENDOR_ID", default=""),
            access_token=auth_code,
            public_key=public_half(env.str("SANDBOX_PADDLE_KEY", default="")),
        )
        keep_hook_key(connection, env.str("SANDBOX_PADDLE_HOOK_KEY", default=""))


def make_vivoldi() -> None:
    """The sandbox's Vivoldi account, if `make run` wrote one down."""
    api_key = env.str("SANDBOX_VIVOLDI_API_KEY", default="")
    if api_key:
        connection = Connection.objects.create(
            provider=Connection.Provider.VIVOLDI,
            name="Vivoldi (sandbox)",
            access_token=api_key,
            secret=env.str("SANDBOX_VIVOLDI_SECRET", default=""),
        )
        keep_hook_key(connection, env.str("SANDBOX_VIVOLDI_HOOK_KEY", default=""))


def keep_hook_key(connection: Connection, hook_key: str) -> None:
    """Let webhooks come in under the address that the sandbox was told."""
    if hook_key:
        Connection.objects.filter(pk=connection.pk).update(hook_key=hook_key)


def public_half(text: str) -> str:
    """The PEM of a private key (DER, in base64); empty for none."""
    if not text:
        return ""
    key = serialization.load_der_private_key(base64.b64decode(text), password=None)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


def make_campaign(by: User, **fields: object) -> Campaign:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    values = {
        "created_by": by,
        "use_starts_at": now - timedelta(hours=1),
        "use_ends_at": now + timedelta(days=90),
    } | fields
    return Campaign.objects.create(**values)


def make_codes(count: int, prefix: str) -> list[str]:
    codes: dict[str, None] = {}
    while len(codes) < count:
        codes[prefix + "".join(secrets.choice(LETTERS) for _ in range(10))] = None
    return list(codes)


def make_batch(
    campaign: Campaign, count: int, *, name: str, prefix: str, by: User
) -> None:
    """A ready batch of one-time serials, as an import leaves it."""
    batch = Batch.objects.create(
        campaign=campaign,
        name=name,
        kind=Batch.Kind.IMPORTED,
        state=Batch.State.READY,
        lines=count,
        new=count,
        total=count,
        done_to=count,
        fits_code39=True,
        fits_code128=True,
        created_by=by,
        ready_at=timezone.now(),
    )
    Serial.objects.bulk_create(
        Serial(
            campaign=campaign, batch=batch, pos=pos, code=code, code_key=code.lower()
        )
        for pos, code in enumerate(make_codes(count, prefix), start=1)
    )


def write_csv(path: Path) -> None:
    """A file to try the upload with: 200 serials, and three rows that are refused."""
    codes = make_codes(200, "BAG-")
    rows = [*codes[:120], codes[0], *codes[120:], "bag lower case", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("serial number\r\n" + "\r\n".join(rows) + "\r\n", encoding="utf-8")


def draw_cup() -> bytes:
    """A cup of coffee, 640 x 640, drawn large and made small for smooth edges."""
    picture = Image.new("RGB", (1280, 1280), "#F2C48D")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((180, 900, 1100, 1120), fill="#E0A867")
    pen.ellipse((220, 890, 1060, 1080), fill="#FFFFFF")
    pen.ellipse((820, 520, 1080, 800), outline="#FFFFFF", width=56)
    pen.rounded_rectangle((300, 440, 900, 980), radius=220, fill="#FFFFFF")
    pen.rectangle((300, 440, 900, 640), fill="#FFFFFF")
    pen.ellipse((300, 370, 900, 520), fill="#FFFFFF")
    pen.ellipse((340, 395, 860, 500), fill="#5B3216")
    for x in (450, 600, 750):
        pen.line((x, 330, x - 40, 260, x + 40, 190, x, 120), fill="#FFF6E9", width=26)
    out = io.BytesIO()
    picture.resize((640, 640), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


def is_empty() -> bool:
    """Whether nobody has begun to use this database."""
    return not (User.objects.exists() or Campaign.objects.exists())
