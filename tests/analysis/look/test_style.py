"""Colours that can be told from the ground, text that can be read on a phone, values on marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import analysis.pages
from analysis.look import style

CSS = (Path(analysis.pages.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
MODES = re.findall(r":root \{(.*?)\}", CSS, re.S)[:2]
PHONE = 358  # pixels: the width of a panel on a screen of 390


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours (WCAG 2)."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_marks_have_a_contrast_of_three_to_their_card() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21.0)
    colours = {*style.PALETTE, style.GREY, style.SOFT, *(v.colour for v in style.VERDICTS.values())}
    assert {c: round(contrast(c, style.CARD), 2) for c in colours if contrast(c, style.CARD) < 3} == {}


def turned(colour: str) -> str:
    """The colour on a dark page, whose style turns light and dark (Filter Effects Module)."""
    rule = re.search(
        r"\.drawing:not\(\.pictures\) svg \{ filter: invert\(([.\d]+)\) hue-rotate\(180deg\)", CSS
    )
    assert rule is not None
    part = float(rule[1])
    rgb = [part + (1 - 2 * part) * int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    matrix = [(-0.574, 1.43, 0.144), (0.426, 0.43, 0.144), (0.426, 1.43, -0.856)]
    mixed = (sum(a * b for a, b in zip(row, rgb, strict=True)) for row in matrix)
    return "#" + "".join(f"{round(255 * min(max(value, 0.0), 1.0)):02x}" for value in mixed)


def test_marks_on_a_dark_page_have_it_too_and_the_card_is_no_white_one() -> None:
    card = turned(style.CARD)
    paper = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", MODES[1]))["paper"]
    assert contrast(card, paper) < 1.05
    colours = {*style.PALETTE, style.GREY, style.SOFT, *(v.colour for v in style.VERDICTS.values())}
    assert {c: turned(c) for c in colours if contrast(turned(c), card) < 3} == {}
    assert contrast(turned(style.INK), card) > 10
    hues = [int(turned(blue)[5:], 16) > int(turned(blue)[1:3], 16) for blue in ("#0072B2", "#2E93CC")]
    assert all(hues)  # blue stays blue


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_words_have_a_contrast_of_four_and_a_half_in_both_modes(mode: int) -> None:
    tokens = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", MODES[mode]))
    pairs = [(word, "paper") for word in ("ink", "soft", "link", "ahead", "behind", "level", "open")]
    pairs += [(word, f"{word}-tint") for word in ("ahead", "behind", "level")]
    pairs += [("open", "tint"), ("ink", "tint"), ("ink", "warn")]
    assert {p: c for p in pairs if (c := contrast(tokens[p[0]], tokens[p[1]])) < 4.5} == {}


def test_every_text_of_a_drawing_has_twelve_pixels_on_a_phone() -> None:
    figure, axes = style.blank(2.0)
    axes.annotate("small", (0, 0), fontsize=style.SMALL)
    text = style.inline(style.svg(figure, "k"), "what is seen")
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])  # type: ignore[index]
    assert style.SMALL * PHONE / width >= 12 - 0.05
    wide, axes = style.blank(2.0, 7.0)
    axes.annotate("tiny", (0, 0), fontsize=6)
    text = style.inline(style.svg(wide, "k"), "what is seen")
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])  # type: ignore[index]
    least = float(re.search(r"min-width:(\d+)px", text)[1])  # type: ignore[index]
    assert 6 * least / width >= 12 - 0.05 and 'aria-label="what is seen"' in text


def test_text_of_the_page_has_twelve_pixels_on_a_phone() -> None:
    phone = CSS[CSS.index("@media (max-width: 760px)") :].split("@media print")[0]
    assert min(float(size) for size in re.findall(r"font-size: ([\d.]+)px", phone)) >= 12
    base = float(re.search(r"body \{ font-size: ([\d.]+)px", phone)[1])  # type: ignore[index]
    named = re.findall(r"font-size: (\.\d+|\d\.\d+)rem", CSS)
    assert min(map(float, named)) * 16 >= 12 and base >= 12


def test_numbers_of_a_drawing_are_kept_and_a_mark_says_its_value() -> None:
    figure, axes = style.blank(1.0)
    (mark,) = axes.plot([0.12345], [1], "o")
    style.hover(mark, 'a "b" < 0.005')
    axes.annotate("0.00512", (0.12345, 1))
    text = style.svg(figure, "k")
    assert ">0.00512<" in text and '<title>a "b" &lt; 0.005</title>' in text
