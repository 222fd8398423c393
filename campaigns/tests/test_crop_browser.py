"""Choosing a square in a real browser: by mouse, by touch, by keyboard, and without script."""

import io
from contextlib import contextmanager

import pytest
from django.urls import reverse
from PIL import Image
from playwright.sync_api import expect

from campaigns.models import Campaign
from campaigns.tests.test_images import BLUE, GREEN, RED, is_near, saved
from testing.browsing import sign_in, visiting
from testing.factories import PASSWORD, make_campaign, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def campaign(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return make_campaign(state="draft", time_zone="Asia/Tokyo")


@contextmanager
def form(browser, live_server, campaign, **options):
    make_user("Editor", username="mia")
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    with visiting(browser, **options) as page:
        sign_in(page, live_server.url + url, "mia", PASSWORD)
        if options.get("java_script_enabled", True):
            page.get_by_role("tab", name="Look", exact=True).click()
        yield page


@pytest.fixture
def page(browser, live_server, campaign):
    with form(browser, live_server, campaign) as page:
        yield page


def three_colours(kind="PNG", **options):
    """Red, green and blue side by side, 900 by 300."""
    image = Image.new("RGB", (900, 300))
    for n, colour in enumerate((RED, GREEN, BLUE)):
        image.paste(colour, (n * 300, 0, n * 300 + 300, 300))
    return saved(image, kind, **options)


def choose(page, raw, name="a.png"):
    page.set_input_files("[data-file]", {"name": name, "mimeType": "", "buffer": raw})


def choose_in_sight(page, raw):
    """Where the mouse can reach it: not under the bar with Save."""
    choose(page, raw)
    expect(page.locator("[data-work]")).to_be_visible()
    page.locator("[data-stage]").evaluate("it => it.scrollIntoView({block: 'center'})")


def box_of(page):
    return [int(n) for n in page.locator("[data-box]").input_value().split(",")]


def colour_of(page, canvas, x, y):
    """A pixel of a preview, in shares of its width and height."""
    return page.locator(canvas).evaluate(
        "(it, [x, y]) => [...it.getContext('2d')"
        ".getImageData(x * it.width, y * it.height, 1, 1).data].slice(0, 3)",
        [x, y],
    )


def save(page):
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_load_state()


def kept(campaign):
    campaign.refresh_from_db()
    with campaign.image.open() as file:
        image = Image.open(io.BytesIO(file.read()))
    return image


def test_the_middle_is_chosen_first_and_both_croppings_are_shown(page, campaign):
    choose(page, three_colours())

    expect(page.locator("[data-work]")).to_be_visible()
    assert box_of(page) == [300, 0, 300]
    for canvas in ("[data-page]", "[data-chat]"):
        assert is_near(colour_of(page, canvas, 0.5, 0.5), GREEN)
    expect(page.locator("[data-small]")).to_contain_text("Only 300 pixels")


def test_the_square_is_dragged_by_mouse_and_both_croppings_follow(page, campaign):
    choose_in_sight(page, three_colours())
    square = page.locator("[data-square]").bounding_box()
    stage = page.locator("[data-stage]").bounding_box()

    page.mouse.move(square["x"] + 60, square["y"] + square["height"] / 2)
    page.mouse.down()
    page.mouse.move(stage["x"] + 5, stage["y"] + 5, steps=5)
    page.mouse.up()

    assert box_of(page) == [0, 0, 300]
    for canvas in ("[data-page]", "[data-chat]"):
        assert is_near(colour_of(page, canvas, 0.5, 0.5), RED)
    save(page)
    assert is_near(kept(campaign).getpixel((150, 150)), RED)


def test_a_corner_changes_the_size_and_the_opposite_one_stays(page, campaign):
    choose_in_sight(page, three_colours())
    square = page.locator("[data-square]").bounding_box()
    right, bottom = square["x"] + square["width"], square["y"] + square["height"]

    page.mouse.move(square["x"] + 8, square["y"] + 8)
    page.mouse.down()
    page.mouse.move(right - square["width"] / 2, bottom - square["height"] / 2, steps=5)
    page.mouse.up()

    left, top, side = box_of(page)
    assert (left + side, top + side) == (600, 300)
    assert 130 <= side <= 170


def test_a_press_beside_the_square_brings_it_there(page, campaign):
    choose_in_sight(page, three_colours())
    stage = page.locator("[data-stage]").bounding_box()

    page.mouse.click(stage["x"] + stage["width"] - 4, stage["y"] + 20)

    assert box_of(page) == [600, 0, 300]


def test_the_keyboard_does_all_of_it_and_a_screen_reader_hears_it(page, campaign):
    choose(page, three_colours())
    square = page.get_by_role(
        "application", name="The part of the picture that is shown"
    )
    square.focus()

    page.keyboard.press("ArrowLeft")
    assert box_of(page) == [297, 0, 300]
    page.keyboard.press("Shift+ArrowRight")
    assert box_of(page) == [327, 0, 300]
    page.keyboard.press("-")
    assert box_of(page)[2] == 297
    page.keyboard.press("+")
    assert box_of(page)[2] == 300
    for _ in range(40):
        page.keyboard.press("Shift+ArrowRight")
    assert box_of(page) == [600, 0, 300]
    expect(page.locator("[data-place]")).to_have_text(
        "Left 600, top 0, 300 pixels wide and high."
    )
    for _ in range(20):
        page.keyboard.press("Shift+-")
    assert box_of(page)[2] == 100


def test_the_buttons_do_what_a_drag_does(page, campaign):
    choose(page, three_colours())

    page.get_by_role("button", name="Smaller").click()
    assert box_of(page) == [315, 15, 270]
    page.get_by_role("button", name="Larger").click()
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Largest, in the middle").click()
    assert box_of(page) == [300, 0, 300]


def test_a_finger_drags_it_too(browser, live_server, campaign):
    options = {"phone": True, "has_touch": True}
    with form(browser, live_server, campaign, **options) as page:
        choose_in_sight(page, three_colours())
        square = page.locator("[data-square]").bounding_box()
        session = page.context.new_cdp_session(page)
        x, y = square["x"] + square["width"] / 2, square["y"] + square["height"] / 2

        def touch(kind, *points):
            session.send(
                "Input.dispatchTouchEvent",
                {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
            )

        touch("touchStart", (x, y))
        for n in range(1, 9):
            touch("touchMove", (x - n * square["width"] / 6, y))
        touch("touchEnd")

        assert box_of(page) == [0, 0, 300]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_what_is_seen_is_what_is_kept_however_the_camera_was_held(
    page, campaign, orientation
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    choose(page, three_colours("JPEG", exif=exif, quality=95), "a.jpg")
    expect(page.locator("[data-work]")).to_be_visible()
    square = page.locator("[data-square]")
    square.focus()
    for _ in range(40):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
    seen = colour_of(page, "[data-page]", 0.5, 0.5)

    save(page)

    image = kept(campaign)
    assert is_near(image.getpixel((image.width // 2, image.height // 2)), seen)


def test_an_orientation_in_a_png_is_seen_as_it_is_kept(page, campaign):
    exif = Image.Exif()
    exif[0x0112] = 3
    choose(page, three_colours("PNG", exif=exif))
    expect(page.locator("[data-work]")).to_be_visible()
    page.locator("[data-square]").focus()
    for _ in range(40):
        page.keyboard.press("Shift+ArrowRight")
    seen = colour_of(page, "[data-page]", 0.5, 0.5)

    save(page)

    assert is_near(kept(campaign).getpixel((150, 150)), seen)


def test_what_is_too_large_is_said_at_once_and_not_sent(page, campaign):
    choose(page, b"\x89PNG" + bytes(1024 * 1024))
    said = page.locator("[data-crop] [data-said]")
    expect(said).to_contain_text("1,048,580 bytes")
    assert page.locator("[data-file]").input_value() == ""

    choose(page, saved(Image.new("1", (5000, 10))))
    expect(said).to_contain_text("5,000 × 10")
    assert page.locator("[data-file]").input_value() == ""

    choose(page, b"not a picture")
    expect(said).to_contain_text("can't be shown as a picture")
    expect(page.locator("[data-work]")).to_be_hidden()

    choose(page, three_colours())
    expect(said).to_be_empty()
    expect(page.locator("[data-work]")).to_be_visible()


def test_a_choice_can_be_taken_back_before_it_is_saved(page, campaign):
    choose(page, three_colours())

    page.get_by_role("button", name="Without this picture").click()

    expect(page.locator("[data-work]")).to_be_hidden()
    assert page.locator("[data-box]").input_value() == ""
    save(page)
    campaign.refresh_from_db()
    assert not campaign.image


def test_a_saved_picture_is_shown_and_removed(page, campaign):
    choose(page, three_colours())
    expect(page.locator("[data-work]")).to_be_visible()
    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_load_state()
    page.get_by_role("tab", name="Look", exact=True).click()
    expect(page.locator("[data-saved] img.crop-page")).to_be_visible()
    expect(page.locator("[data-saved] img.crop-chat")).to_be_visible()

    page.get_by_label("Remove this picture").check()
    save(page)

    campaign.refresh_from_db()
    assert not campaign.image


def test_without_script_the_middle_is_taken(browser, live_server, campaign):
    with form(browser, live_server, campaign, java_script_enabled=False) as page:
        choose(page, three_colours())
        save(page)

    assert is_near(kept(campaign).getpixel((150, 150)), GREEN)
    assert Campaign.objects.count() == 1
