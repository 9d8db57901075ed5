"""Words for the metric."""

from __future__ import annotations

import pytest

from analysis.look.words import capitalized
from analysis.read.metric import Metric, metric_named


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ("accuracy", "accuracies", "accuracy")),
        (["", "accuracy"], ("accuracy", "accuracies", "accuracy")),
        (["mIoU", "mIoU"], ("mIoU", "mIoUs", "IoU")),
        (["mIoU", ""], ("accuracy or mIoU", "accuracies or mIoUs", "accuracy or IoU")),
        (["F1"], ("F1", "F1s", "F1")),
    ],
)
def test_words_by_name(names: list[str], words: tuple[str, str, str]) -> None:
    metric = metric_named(names)
    assert (metric.name, metric.plural, metric.per_class) == words and f"{metric}" == words[0]
    assert metric.segments == ("mIoU" in names)


def test_a_metric_is_accuracy_where_nothing_else_is_recorded() -> None:
    assert Metric() == metric_named([])


def test_titles_begin_with_a_capital_but_for_miou() -> None:
    assert [capitalized(word) for word in ("accuracy", "mIoUs", "accuracy or mIoU", "IoU", "")] == [
        "Accuracy",
        "mIoUs",
        "Accuracy or mIoU",
        "IoU",
        "",
    ]
