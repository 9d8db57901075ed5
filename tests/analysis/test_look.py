"""How configurations are told apart in a figure: names, colours, and labels that do not overlap."""

from __future__ import annotations

import random

import pytest

from analysis.look import entries, placing

# --- names and looks
# ---------------------------------------------------------------------------------------------------------------


def test_labels_of_one_method_differ_in_look_and_known_methods_keep_theirs() -> None:
    labels = [
        "fedrsclip (tuned)",
        "fedrsclip (untuned)",
        *(f"fedrsclip, {i} (tuned)" for i in range(12)),
        "promptfl (tuned)",
        "zeroshot",
    ]
    named = {label: label.split(" ")[0].split(",")[0] for label in labels}
    found = entries.looks(named)
    assert len({(look.colour, look.marker, look.hollow) for look in found.values()}) == len(labels)
    assert found["fedrsclip (tuned)"].colour == found["fedrsclip (untuned)"].colour == "#0072B2"
    assert (found["promptfl (tuned)"].colour, found["promptfl (tuned)"].line) == ("#E69F00", "-")
    assert found["zeroshot"].colour == "#777777" and found["fedrsclip (untuned)"].face == "white"
    repeated = [look for look in found.values() if look.line not in ("-", found["fedrsclip (untuned)"].line)]
    assert repeated and all(
        look.colour != "#0072B2" for look in repeated
    )  # the first colour stays with the first configuration


def test_panels_hold_eight_and_the_first_stands_in_each() -> None:
    labels = [str(i) for i in range(11)]
    assert entries.groups(labels[:8]) == [labels[:8]]
    assert entries.groups(labels) == [["0", "1", "2", "3", "4", "5"], ["0", "6", "7", "8", "9", "10"]]
    assert max(map(len, entries.groups([str(i) for i in range(40)]))) <= entries.MOST


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["batch, lambda 0.02", "batch, lambda 0.1"], "batch"),
        (["batch lam=0.02", "batch lam=0.1"], "batch"),
        (["no OT"], "no OT"),
        (["dirichlet alpha=0.1, 5 clients", "dirichlet alpha=0.1, 10 clients"], "dirichlet alpha=0.1"),
        (["a", "b"], "a"),
    ],
)
def test_what_labels_have_in_common(labels: list[str], said: str) -> None:
    assert entries.common(labels) == said


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
