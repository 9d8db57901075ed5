"""Stages of a sweep: their order, and the time that each keeps for the stages behind it.

The order. Every scenario's anchor; the levels of recipes; contrasts, those of the method's own choices first,
one level in all scenarios together, and the first level of every choice before the second of any; rivals at
the anchor; interactions; the missing seeds of all these; search; race; confirmation; the best elsewhere
(transfer). A trial that does not fit is not deleted: it keeps its place, and is tried again at every step. At
the very end, what still fits of the earlier stages is run, and chooses nothing any more.

The floors. A trial is started only if behind it there is time for

* while contrasts, rivals and interactions run: the confirmation of every anchor, then the first rival at
  every anchor, then the confirmation of what is selected, each on `FEWEST_SEEDS` seeds. A study whose anchor
  is not confirmed, or that has no rival, has no number to stand on. On a slow machine these would be most of
  the study, so the list is cut where it exceeds `FLOOR_SHARE` of the time that is left when the first trial
  has ended.
* while levels of recipes, missing seeds, search trials and race seeds run: all confirmations on all seeds.
  These stages take as much time as they get, and what they choose is worth nothing until it is confirmed
  beside its rivals.

The seeds. A stage whose trials do not all fit on all their seeds runs with fewer, at least `FEWEST_SEEDS`,
because one seed has no spread. Simulated (sd 1 point between paired seeds, pooled variance, false discovery
rate 0.1, a third of the levels with effects of two points): two seeds find an effect in 71 of 100 cases,
three in 90. But in the time of 34 contrasts on three seeds 51 run on two, and 13 of their effects are found
in place of 11. With a time limit the anchors start on `FEWEST_SEEDS` too, because nothing is known yet of the
machine; their missing seeds follow at once where all contrasts fit with as many. If time is left, the missing
seeds of the others follow.
"""

from __future__ import annotations

from typing import Literal, get_args

Stage = Literal[
    "anchor",
    "design",
    "level",
    "anchor seeds",
    "contrast",
    "rival",
    "interaction",
    "seeds",
    "search",
    "race",
    "confirm",
    "transfer",
]
STAGES: tuple[Stage, ...] = get_args(Stage)

FEWEST_SEEDS = 2  # of a trial whose stage does not fit with all seeds
FLOOR_SHARE = 0.3  # largest share of the time that is kept while contrasts, rivals and interactions run
TUNED_TRIALS = 20  # search trials that make a time-limited study tuned

STAGE_WORDS: dict[Stage, str] = {
    "anchor": "anchors",
    "design": "points of the design",
    "level": "levels of the recipe",
    "anchor seeds": "missing seeds of the anchors",
    "contrast": "contrasts",
    "rival": "rivals at the anchor",
    "interaction": "interactions",
    "seeds": "missing seeds",
    "search": "search",
    "race": "race",
    "confirm": "confirmation on fresh seeds",
    "transfer": "the best of the other scenarios",
}
