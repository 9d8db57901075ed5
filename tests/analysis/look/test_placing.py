"""Places of names: in order, and none covers another."""

from __future__ import annotations

import random

import pytest

from analysis.look import placing


def test_names_are_spread_in_order_and_no_more_than_needed() -> None:
    assert placing.spread([10.0, 50.0], 8, 0, 100) == [10.0, 50.0]
    assert placing.spread([30.0, 30.0, 28.0], 8, 0, 100) == pytest.approx([88 / 3, 88 / 3 + 8, 88 / 3 - 8])
    assert placing.spread([99.0, 100.0], 8, 0, 100) == pytest.approx([92.0, 100.0])


@pytest.mark.parametrize("many", [1, 3, 11, 18])
def test_no_name_covers_another_or_a_mark(many: int) -> None:
    chance = random.Random(many)
    names = ["fedrsclip, h=16"[: chance.randint(5, 15)] for _ in range(many)]
    spots = [(chance.choice([14.0, 60.0, 66.0, 120.0]), chance.uniform(20, 150), name) for name in names]
    taken = [(x - 4.5, x + 4.5, y - 4.5, y + 4.5) for x, y, _ in spots]
    found = placing.places(spots, taken, 175.0)
    half = placing.LINE / 2 - 0.01
    boxes = [(x, x + placing.LETTER * len(spots[i][2]), y - half, y + half) for i, (x, y) in found.items()]
    assert sorted(found) == list(range(many))
    for k, box in enumerate(boxes):
        others = (*boxes[k + 1 :], *taken)
        assert not any(box[0] < b[1] and b[0] < box[1] and box[2] < b[3] and b[2] < box[3] for b in others)
