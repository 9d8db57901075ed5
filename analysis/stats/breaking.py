"""Where a method breaks: the verdict on each level of a stress case, and the first level that is a break.

All differences of a stress run are one family: every entry at every level against each reference at that
level, and against itself at the mildest level. `level_verdict` takes the judgements of one entry at one
level, `breaking_level` its verdicts from the mildest level to the severest.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .judgements import Judgement

LevelVerdict = Literal["pass", "degrade", "break", "undecided", "not run"]


@dataclass(frozen=True)
class Breaking:
    """Where an entry breaks, as places in the order of the levels.

    Attributes:
        broke: The level from which on every level is a break; None where the severest is not shown to be one.
        passed: The last level before it that passes; None where none does.
        alone: Levels that are a break though a severer one is not: no breaking level follows from them.
    """

    broke: int | None
    passed: int | None
    alone: tuple[int, ...]


def level_verdict(
    references: Sequence[Judgement], change: Judgement | None, margin: float = 0.05
) -> LevelVerdict:
    """Return the verdict on an entry at one level; it may lose less than the margin, a fraction.

    Args:
        references: Entry minus reference, one for each reference of the case.
        change: Entry at this level minus itself at the mildest level; None at the mildest level.
        margin: A smaller loss of accuracy is allowed.

    Returns:
        `break` when the entry diverged on at least half of its seeds, or when the adjusted interval against
        every reference lies below -margin. `degrade` when that against some of them, or against its own
        mildest level, lies below. `pass` when all of them lie above -margin, so that 90 % that fall to 60 %
        do not pass because a reference stands at 60 %. `not run` where the entry has no seed. Else
        `undecided`.
    """
    beside = [*references, *([change] if change else [])]
    if any(j.a_diverges for j in beside):
        return "break"
    if not beside or all(j.verdict == "missing" for j in beside):
        return "not run"
    lost = [j.adjusted_high is not None and j.adjusted_high < -margin for j in beside]
    if references and all(lost[: len(references)]):
        return "break"
    if any(lost):
        return "degrade"
    return "pass" if references and all(_above(j, margin) for j in beside) else "undecided"


def breaking_level(verdicts: Sequence[LevelVerdict]) -> Breaking:
    """Find where one entry breaks.

    Levels are tested from the severest on, as long as each is a break. The first that is none ends the test.
    So a level that the entry still bears is called broken as seldom as in one test, however many there are.

    Args:
        verdicts: Of its levels, from the mildest to the severest. Levels that were not run are passed over.
    """
    run = [i for i, verdict in enumerate(verdicts) if verdict != "not run"]
    chain = list(itertools.takewhile(lambda i: verdicts[i] == "break", reversed(run)))
    broke = chain[-1] if chain else None
    passing = [i for i in run if verdicts[i] == "pass" and (broke is None or i < broke)]
    alone = tuple(i for i in run if verdicts[i] == "break" and i not in chain)
    return Breaking(broke, passing[-1] if passing else None, alone)


def _above(j: Judgement, margin: float) -> bool:
    """Whether a difference is shown to be no loss; none are identical runs, and a reference that diverged."""
    no_bar = j.verdict == "no effect" or (j.verdict == "diverges" and not j.a_diverges)
    return no_bar or (j.adjusted_low is not None and j.adjusted_low > -margin)
