import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.line_messages import (
    LINK,
    MAX_MESSAGES,
    CardColours,
    clean,
    clusters,
    coupon_card,
    fill,
    push_body,
    shorten,
    template_bytes,
    text_message,
    utf16_len,
)

URL = "https://shop.example/c/abc"
FAMILY = "👨‍👩‍👧‍👦"


def card(**changes):
    return coupon_card(**({"title": "Spring", "button": "Open", "link": URL} | changes))


def test_a_full_card():
    message = card(
        shop="Cafe",
        benefit="20 % off",
        period="until 31 Dec",
        condition="once",
        image_url="https://cdn.example/a.png",
    )

    bubble = message["contents"]
    texts = [line["text"] for line in bubble["body"]["contents"]]
    assert texts == ["Cafe", "Spring", "20 % off", "until 31 Dec", "once"]
    assert bubble["size"] == "mega"
    assert bubble["hero"]["url"] == "https://cdn.example/a.png"
    button = bubble["footer"]["contents"][0]
    assert button["action"] == {"type": "uri", "label": "Open", "uri": URL}
    assert message["altText"] == "Spring – 20 % off"


def test_what_is_empty_is_left_out():
    bubble = card(image_url="http://cdn.example/a.png")["contents"]

    assert [line["text"] for line in bubble["body"]["contents"]] == ["Spring"]
    assert "hero" not in bubble


def test_colours_are_made_opaque_and_the_buttons_text_stays_readable():
    colours = CardColours(background="#00000080", text="#ff0000", button="#FFFF00")
    bubble = card(colours=colours)["contents"]

    assert bubble["styles"]["body"]["backgroundColor"] == "#7F7F7F"
    assert bubble["body"]["contents"][0]["color"] == "#FF0000"
    assert bubble["footer"]["contents"][0]["style"] == "secondary"
    assert card()["contents"]["footer"]["contents"][0]["color"] == "#06A94B"
    dark = card(colours=CardColours(button="#003300"))["contents"]
    assert dark["footer"]["contents"][0]["style"] == "primary"


@pytest.mark.parametrize(
    "changes",
    [
        {"title": " "},
        {"title": "\x00"},
        {"button": ""},
        {"button": "x" * 41},
        {"link": ""},
        {"link": "javascript:alert(1)"},
        {"link": "https://x/" + "x" * 1000},
        {"link": "https://x/あ"},
        {"link": "https://x/ y"},
        {"image_url": "https://x/" + "x" * 2000},
        {"condition": "x" * 31_000},
        {"colours": CardColours(button="red")},
        {"colours": CardColours(text="#123456\n")},
    ],
)
def test_limits_of_a_card(changes):
    with pytest.raises(ValueError, match=r"\w"):
        card(**changes)


def test_a_label_is_counted_as_people_count():
    assert card(button=FAMILY * 40)
    with pytest.raises(ValueError, match="40"):
        card(button=FAMILY * 41)


def test_the_alternative_text_is_one_short_line():
    alt = card(title="two\nlines", alt_text="word " * 200)["altText"]

    assert utf16_len(alt) <= 400
    assert alt.endswith("word…")
    assert card(title="two\nlines")["altText"] == "two lines"


def test_a_text_and_its_link():
    assert text_message("Hello\r\n", URL)["text"] == f"Hello\n{URL}"
    assert text_message("x" * 5000)["text"] == "x" * 5000
    assert text_message("😀" * 2500)
    for text in ("", "\x07", "x" * 5001, "😀" * 2501):
        with pytest.raises(ValueError, match="text"):
            text_message(text)
    with pytest.raises(ValueError, match="5000"):
        text_message("x" * 4500, LINK)


def test_equal_messages_give_equal_bytes():
    one = push_body("U1", [{"type": "text", "text": "あ"}])
    two = push_body("U1", [{"text": "あ", "type": "text"}])

    assert one == two == '{"messages":[{"text":"あ","type":"text"}],"to":"U1"}'.encode()


@pytest.mark.parametrize(
    ("messages", "to"),
    [
        ([], "U1"),
        ([{"type": "text", "text": "x"}] * (MAX_MESSAGES + 1), "U1"),
        ([{"type": "text", "text": "\x02to\x03"}], "U1"),
        ([{"type": "text", "text": "\ud800"}], "U1"),
        ([{"type": "text", "\x02to\x03": "x"}], "U1"),
        ([{"type": "text", "text": "x" * 2_000_000}], "U1"),
        ([{"type": "text", "text": "x"}], ""),
        ([{"type": "text", "text": "x"}], "\x02"),
        ([{"type": "text", "text": LINK}], "U1"),
    ],
)
def test_limits_of_a_push(messages, to):
    with pytest.raises(ValueError, match=r"\w"):
        push_body(to, messages)


nasty = st.text() | st.text(alphabet='\x02\x03linkto"\\u0023 {}')


@given(title=nasty, note=nasty, to=nasty)
def test_a_filled_template_is_the_message_with_its_two_values(title, note, to):
    title, to = clean(title).strip() or "t", clean(to) or "U1"
    messages = [
        coupon_card(title=title, button="b", condition=note, alt_text=note),
        text_message(f"{note}.", LINK),
    ]
    template = template_bytes(messages)

    filled = json.loads(fill(template, to=to, link=URL))

    assert filled["to"] == to
    assert filled["messages"] == [
        coupon_card(title=title, button="b", condition=note, alt_text=note, link=URL),
        text_message(f"{note}.", URL),
    ]
    assert fill(template, to=to, link=URL) == fill(template, to=to, link=URL)
    assert template_bytes(json.loads(json.dumps(messages))) == template


def test_a_template_with_a_link_is_not_sent_without_one():
    with pytest.raises(ValueError, match="link"):
        fill(template_bytes([text_message("x", LINK)]), to="U1")


@pytest.mark.parametrize(
    ("text", "length"),
    [("", 0), ("abc", 3), ("あ", 1), ("😀", 2), ("𠮷", 2), (FAMILY, 11)],
)
def test_utf16_length(text, length):
    assert utf16_len(text) == length == len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("abc", 3),
        ("e\u0301", 1),
        (FAMILY, 1),
        ("🇯🇵🇹🇼", 2),
        ("👍🏽", 1),
        ("น้ำ", 1),
        ("", 0),
    ],
)
def test_clusters(text, count):
    assert len(list(clusters(text))) == count
    assert "".join(clusters(text)) == text


@given(st.text(), st.integers(2, 50))
def test_a_shortened_text_fits(text, limit):
    short = shorten(text, limit)

    assert utf16_len(short) <= limit
    assert short == text or text.startswith(short[:-1])


def test_no_emoji_is_cut_in_two():
    assert shorten(FAMILY * 3, 25) == FAMILY * 2 + "…"
    assert shorten(FAMILY * 3, 22) == FAMILY + "…"
