"""Places of names beside marks: in order, and none covers another."""

from __future__ import annotations

import random

import pytest

from analysis.look.marks import LETTER, LINE, Mark, name_marks, places, spread
from analysis.look.style import blank


def test_names_are_spread_in_order_and_no_more_than_needed() -> None:
    assert spread([10.0, 50.0], 8, 0, 100) == [10.0, 50.0]
    assert spread([30.0, 30.0, 28.0], 8, 0, 100) == pytest.approx([88 / 3, 88 / 3 + 8, 88 / 3 - 8])
    assert spread([99.0, 100.0], 8, 0, 100) == pytest.approx([92.0, 100.0])


@pytest.mark.parametrize("many", [1, 3, 11, 18])
def test_no_name_covers_another_or_a_mark(many: int) -> None:
    chance = random.Random(many)
    names = ["fedrsclip, h=16"[: chance.randint(5, 15)] for _ in range(many)]
    spots = [(chance.choice([14.0, 60.0, 66.0, 120.0]), chance.uniform(20, 150), name) for name in names]
    taken = [(x - 4.5, x + 4.5, y - 4.5, y + 4.5) for x, y, _ in spots]
    found = places(spots, taken, 175.0)
    half = LINE / 2 - 0.01
    boxes = [(x, x + LETTER * len(spots[i][2]), y - half, y + half) for i, (x, y) in found.items()]
    assert sorted(found) == list(range(many))
    for k, box in enumerate(boxes):
        others = (*boxes[k + 1 :], *taken)
        assert not any(box[0] < b[1] and b[0] < box[1] and box[2] < b[3] and b[2] < box[3] for b in others)


def test_long_names_leave_room_for_the_marks() -> None:
    _, axes = blank(2.5)
    marks = [Mark(float(x), 0.5, f"without private prompt (OT alone), {x}", 0.4, 0.6) for x in (1, 2, 4)]
    name_marks(axes, marks, (0.0, 1.0), (190.0, 175.0))
    left, right = axes.get_xlim()
    assert left < 1 and right > 4, "the axis is not turned"
    assert 3 / (right - left) > 0.2, "the marks have a part of the width"
    assert all("\u2026" in text.get_text() for text in axes.texts) and len(axes.texts) == 3
