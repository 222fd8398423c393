"""What becomes of an uploaded picture: its square, drawn anew, or one clear sentence."""

import io
import json
import logging
import random
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image, ImageCms, PngImagePlugin

from campaigns.images import KEPT_SIDE, MAX_BYTES, TURNS, clean_image
from campaigns.models import Campaign
from campaigns.tests.test_campaign_form import ADD, errors_of
from campaigns.widgets import CropWidget
from testing.factories import make_user
from testing.saving import filled

RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 160, 60), (40, 60, 200), (128, 128, 128)


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(kind="PNG", size=(64, 64), mode="RGB", colour="#8A3B12", **options):
    return saved(Image.new(mode, size, colour), kind, **options)


def cleaned(raw, name="a.png", crop=None):
    return clean_image(ContentFile(raw, name=name), crop)


def drawn(raw, name="a.png", crop=None):
    content = cleaned(raw, name, crop)
    image = Image.open(io.BytesIO(content.read()))
    image.load()
    return image


def noise(size, mode="RGB"):
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(
        mode,
        size,
        random.Random(1).randbytes(size[0] * size[1] * bands),  # noqa: S311
    )


def four_corners(side=64):
    """Red and green above, blue and grey below."""
    image = Image.new("RGB", (2 * side, 2 * side))
    for place, colour in zip(
        ((0, 0), (side, 0), (0, side), (side, side)),
        (RED, GREEN, BLUE, GREY),
        strict=True,
    ):
        image.paste(colour, (*place, place[0] + side, place[1] + side))
    return image


def is_near(pixel, colour, most=12):
    return all(abs(a - b) <= most for a, b in zip(pixel[:3], colour, strict=True))


# --- The square ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "crop", "colours"),
    [
        ((192, 64), None, (GREEN,)),  # three squares side by side: the middle one
        ((192, 64), "", (GREEN,)),
        ((192, 64), "0,0,64", (RED,)),
        ((192, 64), "128,0,64", (BLUE,)),
        ((192, 64), "32,0,64", (RED, GREEN)),
    ],
)
def test_the_chosen_square_is_kept_and_the_middle_without_a_choice(size, crop, colours):
    wide = Image.new("RGB", size)
    for n, colour in enumerate((RED, GREEN, BLUE)):
        wide.paste(colour, (n * 64, 0, n * 64 + 64, 64))

    square = drawn(saved(wide), crop=crop)

    assert square.size == (64, 64)
    assert is_near(square.getpixel((2, 32)), colours[0])
    assert is_near(square.getpixel((61, 32)), colours[-1])


UNTURNED = {
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_stands_upright_whatever_way_it_is_stored(orientation, kind):
    upright = Image.new("RGB", (192, 128), "white")
    upright.paste(four_corners(), (0, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = UNTURNED.get(orientation, TURNS.get(orientation))
    stored = upright if back is None else upright.transpose(back)
    raw = saved(stored, kind, exif=exif)

    square = drawn(raw, "a.jpg" if kind == "JPEG" else "a.png", "0,0,128")

    found = [square.getpixel(at) for at in ((20, 20), (108, 20), (20, 108), (108, 108))]
    for pixel, colour in zip(found, (RED, GREEN, BLUE, GREY), strict=True):
        assert is_near(pixel, colour)
    assert not square.getexif()


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_an_orientation_that_there_is_not_is_passed_over(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation

    assert drawn(picture("JPEG", (64, 32), exif=exif), "a.jpg").size == (32, 32)


@pytest.mark.parametrize(
    "crop",
    [
        "left,top,side",
        "0,0",
        "0,0,64,64",
        "-1,0,64",
        "0,0,1e3",
        "NaN,0,64",
        "inf,0,64",
        "0.5,0,64",
        "0,0,64\n",
        " 0,0,64",
        "0,0,999999",
        "٠,٠,٦٤",
        "0,0,<script>alert(1)</script>",
        "1" * 100_000,
        "\x00",
    ],
    ids=repr,
)
def test_a_choice_that_is_none_is_told_so(crop):
    with pytest.raises(ValidationError) as refusal:
        cleaned(picture(), crop=crop)

    assert refusal.value.code == "bad_crop"


@pytest.mark.parametrize("crop", ["0,0,0", "0,0,65", "1,0,64", "0,1,64", "99999,0,1"])
def test_a_square_that_is_not_inside_the_picture_is_told_so(crop):
    with pytest.raises(ValidationError) as refusal:
        cleaned(picture(), crop=crop)

    assert refusal.value.code == "crop_outside"
    assert "64 × 64 pixels" in refusal.value.message


def test_the_square_is_inside_the_upright_picture_not_the_stored_one():
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = picture("JPEG", (200, 100), exif=exif)

    assert drawn(raw, "a.jpg", "0,100,100").size == (100, 100)
    with pytest.raises(ValidationError):
        cleaned(raw, "a.jpg", "100,0,100")


# --- What comes out ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "side"),
    [
        ((4096, 2900), KEPT_SIDE),
        ((1300, 1281), KEPT_SIDE),
        ((1280, 1280), 1280),
        ((640, 900), 640),
        ((1, 4096), 1),  # too small to be of use, which is warned of
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_side_is_longer_than_what_a_screen_shows(size, side, kind):
    name = "a.png" if kind == "PNG" else "a.jpeg"

    assert drawn(picture(kind, size), name).size == (side, side)


def test_a_large_photo_keeps_its_choice_to_the_pixel_or_two():
    photo = Image.new("RGB", (4000, 3000), RED)
    photo.paste(BLUE, (1000, 200, 3600, 2800))

    square = drawn(saved(photo, "JPEG"), "a.jpg", "1000,200,2600")

    edges = [(2, 2), (1277, 2), (2, 1277), (1277, 1277)]
    assert all(is_near(square.getpixel(at), BLUE) for at in edges)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (noise((590, 590)), "PNG"),
        (noise((510, 510), "RGBA"), "PNG"),
        (noise((1015, 1015), "L"), "PNG"),
        (noise((1280, 1280)), "JPEG"),
    ],
    ids=["opaque", "clear", "grey", "jpeg"],
)
def test_even_noise_comes_out_under_a_megabyte(image, kind):
    options = {"quality": 70} if kind == "JPEG" else {}
    raw = saved(image, kind, **options)
    assert 0.8 * MAX_BYTES < len(raw) <= MAX_BYTES

    content = cleaned(raw, "a.png" if kind == "PNG" else "a.jpg")

    assert content.size < MAX_BYTES


def test_clear_noise_that_grows_by_being_drawn_anew_is_made_to_fit():
    """256 colours with opacities of their own grow to four bytes a pixel."""
    image = noise((1010, 1010), "P")
    image.putpalette(random.Random(2).randbytes(256 * 4), "RGBA")  # noqa: S311
    raw = saved(image)
    assert len(raw) <= MAX_BYTES

    content = cleaned(raw)

    assert content.size < MAX_BYTES
    with Image.open(io.BytesIO(content.read())) as kept:
        assert kept.has_transparency_data


def test_what_has_too_many_bytes_in_256_colours_too_is_drawn_smaller():
    """16 colours are half a byte a pixel; made smaller they blend into many more."""
    image = noise((1400, 1400), "L").point(lambda value: value // 16)
    few = Image.frombytes("P", image.size, image.tobytes())
    few.putpalette(random.Random(3).randbytes(16 * 4), "RGBA")  # noqa: S311
    raw = saved(few, bits=4)
    assert len(raw) <= MAX_BYTES

    content = cleaned(raw)

    assert content.size < MAX_BYTES
    with Image.open(io.BytesIO(content.read())) as kept:
        assert kept.width == kept.height < KEPT_SIDE


def test_a_heavy_photo_as_png_becomes_a_lighter_jpeg():
    raw = saved(noise((400, 400)))

    content = cleaned(raw)

    assert content.name.endswith(".jpg")
    assert content.size < len(raw) / 2


def test_a_drawing_stays_a_png_to_the_pixel():
    raw = saved(four_corners())

    content = cleaned(raw)

    assert content.name.endswith(".png")
    assert drawn(raw).tobytes() == four_corners().tobytes()


@pytest.mark.parametrize(
    ("image", "kind", "colour"),
    [
        (Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG", (255, 0, 0)),
        (Image.new("L", (32, 32), 128), "JPEG", (128, 128, 128)),
        (Image.new("I;16", (32, 32), 0x8000), "PNG", (128, 128, 128)),
        (Image.new("LA", (32, 32), (128, 255)), "PNG", (128, 128, 128)),
        (Image.new("1", (32, 32), 1), "PNG", (255, 255, 255)),
        (Image.new("RGB", (32, 32), RED).quantize(4), "PNG", RED),
    ],
    ids=["cmyk", "grey", "16 bits", "grey with alpha", "black and white", "palette"],
)
def test_every_kind_of_jpeg_and_png_shows_its_colour(image, kind, colour):
    square = drawn(saved(image, kind), "a.jpg" if kind == "JPEG" else "a.png")

    assert square.mode == "RGB"
    assert is_near(square.getpixel((16, 16)), colour)


def test_a_png_of_16_bits_a_colour_shows_its_colour():
    """Pillow writes none, so its bytes are put together here."""
    row = b"\x00" + struct.pack(">3H", 0xC8C8, 0x1E1E, 0x1E1E) * 8
    raw = png(8, 8, zlib.compress(row * 8), depth=16)

    assert is_near(drawn(raw).getpixel((4, 4)), RED)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_clear_stays_clear(mode):
    image = Image.new("RGBA", (32, 32), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    shown = image.quantize(8) if mode == "P" else image.convert(mode)

    square = drawn(saved(shown))

    assert square.mode == "RGBA"
    assert [square.getpixel((x, 16))[3] for x in (4, 28)] == [0, 255]


def test_nothing_else_of_the_file_is_kept():
    exif = Image.Exif()
    exif[0x010E] = "the-canary of a camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    jpeg = picture(
        "JPEG",
        exif=exif,
        icc_profile=profile,
        comment="the-canary <script>alert(1)</script>",
        xmp=b"<x:xmpmeta>the-canary</x:xmpmeta>",
    )
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "the-canary")
    text.add_itxt("XML:com.adobe.xmp", "the-canary", zip=True)
    png_too = picture("PNG", pnginfo=text, icc_profile=profile, exif=exif, dpi=(72, 72))
    assert b"canary" in jpeg
    assert b"canary" in png_too

    for raw, name in ((jpeg, "the-canary.jpg"), (png_too, "the-canary.png")):
        content = cleaned(raw, name)
        kept = content.read()
        assert "canary" not in content.name
        assert b"canary" not in kept
        with Image.open(io.BytesIO(kept)) as image:
            assert not image.getexif()
            facts = set(image.info) - {"progressive", "progression"}
            assert facts <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_the_same_picture_gets_another_name_each_time():
    assert cleaned(picture()).name != cleaned(picture()).name


# --- What is refused --------------------------------------------------------------------


def chunk(name, content):
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(width, height, pixels=b"", *, depth=8, between=b""):
    """A PNG put together by hand, as a bomb is."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + between
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def jpeg_header(width, height):
    """A JPEG that says it is of this size."""
    raw = bytearray(picture("JPEG"))
    at = raw.index(b"\xff\xc0") + 5
    raw[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(raw)


def with_zip(raw):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("run.js", "alert(1)")
    return raw + out.getvalue()


def animated():
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    return saved(frames[0], save_all=True, append_images=frames[1:])


def several_in_one():
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    return saved(frames[0], "MPO", save_all=True, append_images=frames[1:])


SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\x00" * 100
REFUSED = {
    "nothing": ("a.png", b"", "empty", "0 bytes"),
    "one byte too many": (
        "a.png",
        picture() + b"\x00" * (MAX_BYTES + 1 - len(picture())),
        "too_many_bytes",
        "1,048,577 bytes",
    ),
    "bomb": ("a.png", png(60_000, 60_000), "too_many_pixels", "60,000 × 60,000"),
    "bomb of zeros": (
        "a.png",
        png(30_000, 30_000, zlib.compress(bytes(20_000_000), 9)),
        "too_many_pixels",
        "30,000 × 30,000",
    ),
    "jpeg bomb": (
        "a.jpg",
        jpeg_header(60_000, 60_000),
        "too_many_pixels",
        "60,000 × 60,000",
    ),
    "line": ("a.png", png(1, 60_000), "too_many_pixels", "1 × 60,000"),
    "line that is real": (
        "a.png",
        picture("PNG", (4097, 1)),
        "too_many_pixels",
        "4,097 × 1",
    ),
    "too large in all": (
        "a.png",
        picture("PNG", (4000, 3001)),
        "too_many_pixels",
        "4,000 × 3,001",
    ),
    "no width": ("a.png", png(0, 60), "damaged", "damaged"),
    "words": ("a.png", b"not a picture", "other_kind", "neither JPG nor PNG"),
    "gif": ("a.gif", picture("GIF"), "other_kind", "a GIF inside"),
    "gif as png": ("a.png", picture("GIF"), "other_kind", "a GIF inside"),
    "webp as jpg": ("a.jpg", picture("WEBP"), "other_kind", "a WebP inside"),
    "heic as jpg": ("a.jpg", HEIC, "other_kind", "a HEIC inside"),
    "svg": ("a.svg", SVG, "other_kind", "a SVG inside"),
    "svg as png": ("a.png", SVG, "other_kind", "a SVG inside"),
    "svg with a head": ("a.png", b"<?xml version='1.0'?>" + SVG, "other_kind", "SVG"),
    "tiff": ("a.png", picture("TIFF"), "other_kind", "a TIFF inside"),
    "bmp": ("a.png", picture("BMP"), "other_kind", "a BMP inside"),
    "png as jpg": ("a.jpg", picture("PNG"), "wrong_ending", "is a PNG inside"),
    "jpg as png": ("a.png", picture("JPEG"), "wrong_ending", "is a JPG inside"),
    "no ending": ("png", picture("PNG"), "wrong_ending", "end in .png"),
    "html": ("a.png.html", picture("PNG"), "wrong_ending", "end in .png"),
    "animated": ("a.png", animated(), "animated", "PNG is animated"),
    "several": ("a.jpg", several_in_one(), "animated", "several pictures"),
    "cut png": ("a.png", picture()[:100], "damaged", "This PNG is damaged"),
    "cut jpg": ("a.jpg", picture("JPEG")[:500], "damaged", "This JPG is damaged"),
    "start of png": ("a.png", picture()[:8], "damaged", "This PNG is damaged"),
    "start of jpg": ("a.jpg", b"\xff\xd8\xff", "damaged", "This JPG is damaged"),
    "png without pixels": ("a.png", png(8, 8), "damaged", "This PNG is damaged"),
    "wrong check sum": (
        "a.png",
        picture()[:20] + b"\xee" + picture()[21:],
        "damaged",
        "damaged",
    ),
    "png and zip": ("a.png", with_zip(picture()), "more_behind", "hangs on behind"),
    "jpg and zip": (
        "a.jpg",
        with_zip(picture("JPEG")),
        "more_behind",
        "hangs on behind",
    ),
    "jpg and html": (
        "a.jpg",
        picture("JPEG") + b"<script>alert(1)</script>",
        "more_behind",
        "25 bytes",
    ),
}


@pytest.mark.parametrize(
    ("name", "raw", "code", "words"), REFUSED.values(), ids=REFUSED.keys()
)
def test_a_file_that_is_no_use_is_told_what_is_wrong_with_it(
    name, raw, code, words, caplog
):
    with (
        caplog.at_level(logging.INFO, "campaigns.images"),
        pytest.raises(ValidationError) as refusal,
    ):
        cleaned(raw, name)

    assert refusal.value.code == code
    assert words in refusal.value.message
    assert "%(" not in refusal.value.message
    [line] = caplog.records
    assert (line.message, line.reason, line.bytes) == ("upload.refused", code, len(raw))


def test_padding_behind_a_picture_is_let_pass():
    assert cleaned(picture("JPEG") + b"\x00" * 400 + b"\r\n", "a.jpg")


def test_a_picture_inside_a_picture_is_not_taken_for_its_end():
    """A camera's small copy in its EXIF has an end of its own."""
    exif = b"Exif\x00\x00" + picture("JPEG", (16, 16))

    assert drawn(picture("JPEG", exif=exif), "a.jpg").size == (64, 64)


def test_a_progressive_jpeg_ends_where_it_ends():
    assert cleaned(saved(four_corners(), "JPEG", progressive=True), "a.jpg")


def test_whatever_bytes_are_turned_over_it_is_a_picture_or_a_sentence():
    pick = random.Random(5)  # noqa: S311
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A] = 6, "a", 72.0
    seeds = {
        "a.jpg": picture("JPEG", (40, 24), exif=exif),
        "a.png": picture("PNG", (40, 24), exif=exif),
        "b.jpg": saved(four_corners(20), "JPEG", progressive=True),
        "b.png": saved(four_corners(20).quantize(4)),
    }
    refused = 0
    for name, seed in list(seeds.items()) * 250:
        raw = bytearray(seed)
        for _ in range(pick.randint(1, 4)):
            raw[pick.randrange(3, len(raw))] = pick.randrange(256)
        if pick.random() < 0.2:
            del raw[pick.randrange(4, len(raw)) :]
        try:
            content = cleaned(bytes(raw), name)
        except ValidationError:
            refused += 1
        else:
            assert content.size < MAX_BYTES
    assert 0 < refused < 1000


BOMBS = """
import json, re, sys
sys.path.insert(0, {root!r})
import django
from django.conf import settings
settings.configure(USE_I18N=False)
django.setup()
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from campaigns.images import clean_image
from PIL import Image

def peak():
    # Not getrusage: a new process begins with its parent's peak there.
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\\s*(\\d+) kB", file.read())[1]) / 1024  # MB

before = peak()
name, path = sys.argv[1:]
with open(path, "rb") as file:
    raw = file.read()
try:
    clean_image(ContentFile(raw, name=name))
    found = "kept"
except ValidationError as error:
    found = error.code
print(json.dumps([found, peak() - before]))
"""


def packed_text(megabytes):
    """Text chunks that unpack to so many megabytes, one each."""
    one = b"k\x00\x00" + zlib.compress(b"a" * 1_000_000, 9)
    return chunk(b"zTXt", one) * megabytes


@pytest.mark.parametrize(
    ("name", "raw", "found", "most"),
    [
        (
            "a.png",
            png(60_000, 60_000, zlib.compress(bytes(20_000_000))),
            "too_many",
            20,
        ),
        ("a.jpg", jpeg_header(65_000, 65_000), "too_many", 20),
        # Unpacks to far more pixels than the header says there are.
        ("a.png", png(64, 64, zlib.compress(bytes(60_000_000), 9)), "", 30),
        (
            "a.png",
            png(64, 64, zlib.compress(bytes(13_000)), between=packed_text(500)),
            "",
            30,
        ),
        # The largest that is taken: 12 million pixels of four bytes, twice at once.
        ("a.png", picture("PNG", (3464, 3464), "RGBA", (1, 2, 3, 4)), "kept", 140),
        ("a.jpg", picture("JPEG", (3464, 3464)), "kept", 80),
    ],
    ids=["header", "jpeg header", "zlib", "text", "largest png", "largest jpg"],
)
def test_memory_stays_small(name, raw, found, most, tmp_path, settings):
    assert len(raw) <= MAX_BYTES
    path = tmp_path / "upload"
    path.write_bytes(raw)
    script = BOMBS.format(root=str(settings.BASE_DIR))

    answer = subprocess.run(
        [sys.executable, "-c", script, name, str(path)],
        capture_output=True,
        check=True,
        text=True,
    )

    outcome, megabytes = json.loads(answer.stdout)
    assert outcome.startswith(found)
    assert megabytes < most


# --- In the form ------------------------------------------------------------------------


@pytest.fixture
def editor(client, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    client.force_login(make_user("Editor"))
    return client


@pytest.mark.django_db
@pytest.mark.parametrize(
    "which", ["nothing", "one byte too many", "bomb", "heic as jpg", "cut jpg"]
)
def test_the_form_says_one_sentence_at_the_field(editor, which):
    name, raw, code, words = REFUSED[which]

    response = editor.post(reverse(ADD), filled(image=SimpleUploadedFile(name, raw)))

    assert response.status_code == 200
    [error] = errors_of(response)["image"]
    assert words in error
    assert not Campaign.objects.exists()


ODD_NAMES = [
    "<script>alert(1)</script>.png",
    "a\r\nX-Evil: 1.png",
    "\u202egnp.exe.png",
    "x" * 300 + ".png",
    "../../../etc/passwd.png",
    "C:\\boot.png",
    "con.PNG",
    "\udcff.png",
    "-.png",
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_the_files_own_name_is_never_used(name):
    stem = cleaned(picture(), name).name.removesuffix(".png")

    assert len(stem) == 24
    assert set(stem) <= set("0123456789abcdef")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ODD_NAMES[2:4], ids=ascii)
def test_a_file_with_an_odd_name_is_saved_under_another(editor, name):
    image = SimpleUploadedFile("a.png", picture())
    image.name = name

    editor.post(reverse(ADD), filled(image=image))

    assert len(Campaign.objects.get().image.name) == len("campaigns/.png") + 24


@pytest.mark.django_db
def test_the_chosen_square_travels_in_a_field_of_its_own(editor):
    wide = Image.new("RGB", (192, 64), GREEN)
    wide.paste(BLUE, (128, 0, 192, 64))
    image = SimpleUploadedFile("a.png", saved(wide))

    editor.post(reverse(ADD), filled(image=image, image_crop="128,0,64"))

    with Campaign.objects.get().image.open() as file, Image.open(file) as kept:
        assert kept.size == (64, 64)
        assert is_near(kept.getpixel((2, 2)), BLUE)


@pytest.mark.django_db
def test_a_choice_without_a_file_means_nothing(editor):
    editor.post(reverse(ADD), filled(image_crop="NaN,-1,<script>"))

    assert not Campaign.objects.get().image


@pytest.mark.django_db
def test_an_unusable_choice_is_told_at_the_field(editor):
    image = SimpleUploadedFile("a.png", picture())

    response = editor.post(reverse(ADD), filled(image=image, image_crop="0,0,65"))

    assert "not inside this picture" in str(errors_of(response)["image"])


@pytest.mark.django_db
def test_whoever_chose_a_file_is_told_to_choose_it_again_after_another_error(editor):
    image = SimpleUploadedFile("a.png", picture())

    response = editor.post(reverse(ADD), filled(image=image, name=""))

    assert "image" not in errors_of(response)
    assert "choose the picture again" in response.content.decode()


def test_a_saved_picture_whose_file_is_gone_breaks_nothing(db, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    campaign = Campaign(image="campaigns/gone.png")

    html = CropWidget().render("image", campaign.image, {"id": "id_image"})

    assert "gone from the server" in html
    assert "image-clear" in html
