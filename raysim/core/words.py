"""Words for the measures of an evaluation and the images of a run, as count commands print them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PLACES = {"own": "on own distributions", "global": "on the global split"}


def count(number: int, noun: str) -> str:
    """Return `1 worker`, `2 workers`."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def percent(value: float | None) -> str:
    """Return an accuracy in words; "none" without one."""
    return "none" if value is None else f"{100 * value:.1f} %"


def install_extra(name: str) -> str:
    """Return the command that installs an extra; on PyPI the name raysim belongs to another project."""
    return f"in the folder of raysim's source: pip install -c constraints.txt '.[{name}]'"


def plain(text: str) -> str:
    r"""Return a text for a terminal; control characters, which could steer it, become escapes: \x1b."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text
    )


def joined(words: Sequence[str]) -> str:
    """Return "a", "a and b", or "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def measured_clients(measures: Mapping[str, Any]) -> str:
    """Return "4 of 6 clients measured"; empty where all were measured, or where nothing says so."""
    measured, evaluated = measures.get("clients_measured"), measures.get("clients_evaluated")
    if measured is None or evaluated is None or measured == evaluated:
        return ""
    return f"{measured:g} of {evaluated:g} clients measured"


def floor_words(measures: Mapping[str, Any]) -> str:
    """Say what needs no federated training: the rule of the most frequent class, and zero-shot, if any.

    Args:
        measures: Values by column, with those of `FLOOR_COLUMNS`.
    """
    names = {"majority": "always the client's most frequent class", "zeroshot": "zero-shot"}
    return "; ".join(
        f"{words}: {percent(measures[f'acc_{floor}_own'])} own, "
        f"{percent(measures[f'acc_{floor}_global'])} global"
        for floor, words in names.items()
        if floor == "majority" or measures[f"acc_{floor}_global"] is not None
    )


def below_floors(method: str, measures: Mapping[str, Any]) -> str:
    """Say which floors a method is below, and where; empty where it is below none.

    Args:
        method: The method's name.
        measures: Values by column, with those of `ACCURACIES` and `FLOOR_COLUMNS`.
    """
    clauses = []
    for floor, words in {"majority": "this rule", "zeroshot": "zero-shot"}.items():
        places = [
            place
            for key, place in PLACES.items()
            if None not in (pair := (measures[f"acc_personal_{key}"], measures[f"acc_{floor}_{key}"]))
            and pair[0] < pair[1]
        ]
        clauses += [f"below {words} {joined(places)}"] if places else []
    return f"{method} is {', and '.join(clauses)}" if clauses else ""


def owner_words(described: Mapping[str, Any], shown: int = 8) -> list[str]:
    """Say who the clients are where they exist, and what their source leaves out.

    Args:
        described: What run.json says: `client_names` and `owners`, or neither where clients are drawn.
        shown: Names that are written out.
    """
    names, owners = described.get("client_names"), described.get("owners")
    if not names or not owners:
        return []

    def listing(words: Sequence[str]) -> str:
        more = f" and {len(words) - shown} more" if len(words) > shown else ""
        return ", ".join(words[:shown]) + more

    absent, unnamed, drawn = owners["absent"], owners["unnamed_images"], owners["drawn_splits"]
    lines = [f"clients: {listing(names)}"]
    if absent:
        lines.append(f"{len(absent)} more without a training image take no part: {listing(absent)}")
    if unnamed:
        lines.append(f"{unnamed:,} images are left out: nobody holds them")
    if drawn:
        lines.append(f"no image is said to be for {joined(drawn)}: drawn from the training images")
    return lines


def predict_words(folder: Path | str) -> str:
    """Return the command that uses the model of a run."""
    return f"raysim predict {shlex.quote(str(folder))} IMAGES"


def image_words(described: Mapping[str, Any]) -> str:
    """Say how many images a run uses, and why not all.

    Args:
        described: What run.json says: `images_used`, `images_train`, `images_total`, `images_reasons`.

    Returns:
        For example "480 of 960 training images of 1,500; task.shots is the reason".
    """
    used, train, total = (described[f"images_{name}"] for name in ("used", "train", "total"))
    reasons = described["images_reasons"]
    said = f"{f'all {train:,}' if used == train else f'{used:,} of {train:,}'} training images of {total:,}"
    return said + (
        f"; {joined(reasons)} {'is the reason' if len(reasons) == 1 else 'are the reasons'}"
        if reasons
        else ""
    )
