"""Words for the measures of an evaluation and the images of a run."""

from __future__ import annotations

import pytest

from raysim.core.words import below_floors, floor_words, image_words, measured_clients

MEASURES = {
    "acc_personal_own": 0.547,
    "acc_personal_global": 0.3,
    "acc_majority_own": 0.762,
    "acc_majority_global": 0.1,
    "acc_zeroshot_own": 0.5,
    "acc_zeroshot_global": 0.4,
}


def test_both_floors_are_named_with_their_numbers() -> None:
    assert floor_words(MEASURES) == (
        "always the client's most frequent class: 76.2 % own, 10.0 % global; "
        "zero-shot: 50.0 % own, 40.0 % global"
    )
    without = {**MEASURES, "acc_zeroshot_own": None, "acc_zeroshot_global": None, "acc_majority_own": None}
    assert floor_words(without) == "always the client's most frequent class: none own, 10.0 % global"


def test_a_method_below_a_floor_is_told_so() -> None:
    assert below_floors("fedrsclip", MEASURES) == (
        "fedrsclip is below this rule on own distributions, and below zero-shot on the global split"
    )
    assert below_floors("m", {**MEASURES, "acc_personal_own": 0.1, "acc_personal_global": 0.05}) == (
        "m is below this rule on own distributions and on the global split, and "
        "below zero-shot on own distributions and on the global split"
    )
    level = {name: 0.5 for name in MEASURES}
    assert below_floors("m", level) == below_floors("m", {**level, "acc_personal_own": None}) == ""


def test_clients_are_counted_only_where_some_are_not_measured() -> None:
    assert measured_clients({"clients_measured": 4, "clients_evaluated": 6.0}) == "4 of 6 clients measured"
    assert measured_clients({"clients_measured": 6, "clients_evaluated": 6}) == measured_clients({}) == ""


@pytest.mark.parametrize(
    ("used", "reasons", "words"),
    [
        (480, ["task.shots"], "480 of 960 training images of 1,500; task.shots is the reason"),
        (
            48,
            ["a", "b", "c"],
            "48 of 960 training images of 1,500; a, b and c are the reasons",
        ),
        (960, [], "all 960 training images of 1,500"),
    ],
)
def test_images_are_named_with_the_reason(used: int, reasons: list[str], words: str) -> None:
    described = {"images_used": used, "images_train": 960, "images_total": 1500, "images_reasons": reasons}
    assert image_words(described) == words
