"""`raysim.sweep`: a search, a recipe or a designed study, from Python."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raysim.api.experiments import DEFAULT_SPACE, command_words, result_folder
from raysim.api.results import SweepResult
from raysim.api.sweeping import (
    SweepWords,
    refuse_all_failed,
    spaces_of,
    sweep_in_folder,
    sweep_options,
)
from raysim.core.plugins import load_plugins
from raysim.search.options import OBJECTIVE


def sweep(
    spaces: str | Path | Sequence[str | Path] | Mapping[str, Any] = DEFAULT_SPACE,
    overrides: Mapping[str, Any] | None = None,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    seeds: int | None = None,
    rounds: int | None = None,
    workers: int | None = None,
    search: str = "tpe",
    objectives: str | Sequence[str] = OBJECTIVE,
    race: int = 4,
    no_contrasts: bool = False,
    design: str | None = None,
    budget: int = 0,
    extend: int = 0,
    constraint: Sequence[str] = (),
    track: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    plugins: Sequence[str | Path] = (),
    progress: bool = True,
) -> SweepResult:
    """Tune a method under several data splits, or run a recipe, as `raysim sweep` does.

    A sweep always runs on Ray. The arguments are the options of the command line.

    Args:
        spaces: One or more spaces or recipes, by name or as paths to Python files; or overrides of the space
            `fedrsclip`.
        overrides: Settings by dotted path that hold in every trial.
        trials: Search trials per method and scenario; None: as many as fit into `minutes`.
        minutes: Time limit of the whole sweep, its report included; None: the spaces' own, unless `trials` is
            given.
        seeds: Seeds per trial; None: the space's own number, with `design` 2.
        rounds: Communication rounds, the same as `{"rounds": rounds}`.
        workers: Client actors of all simultaneous trials together; None: one per core.
        search: `"tpe"`, `"gp"`, `"qmc"`, `"random"` or `"grid"`.
        objectives: Column or columns that the search improves; the first one decides.
        race: Additional seeds, at most, between the best configurations; 0: no race.
        no_contrasts: Whether to leave out the one-factor contrasts around the anchor.
        design: `"sobol"` or `"morris"`: a designed sensitivity study of `budget` trials instead of a search.
        budget: Trials of the design in each study.
        extend: Search trials per study that the finished sweep in `out` gets in addition.
        constraint: Limits that the chosen configuration must meet, such as `"bytes_up<=2e6"`.
        track: Trackers that the trials are logged to as well.
        out: The result folder, or an address in a bucket to which one in `results/` is copied (`s3://...`);
            None: a new folder in `results/`.
        resume: Whether to go on with the sweep in `out` (None: the newest in `results/`).
        plugins: Python files with methods, scenarios, datasets or networks of your own.
        progress: Whether progress is shown.

    Returns:
        The finished sweep.

    Raises:
        UserError: A mistake that you can correct, in the words of the command line, before Ray starts.
        RuntimeError: Every trial failed.
        KeyboardInterrupt: You interrupted; everything finished is on disk, and `resume=True` goes on.
    """
    started = time.monotonic()
    load_plugins(plugins)
    changes: dict[str, Any] = dict(overrides or {})
    if isinstance(spaces, Mapping):
        changes = {**spaces, **changes}
        spaces = DEFAULT_SPACE
    names = [str(name) for name in ([spaces] if isinstance(spaces, str | Path) else spaces)]
    changes |= {} if rounds is None else {"rounds": rounds}
    named = [objectives] if isinstance(objectives, str) else objectives
    given: dict[str, Any] = {"trials": trials, "minutes": minutes, "seeds": seeds, "workers": workers}
    given |= {"search": search, "race": race, "no_contrasts": no_contrasts, "design": design}
    given |= {"budget": budget, "extend": extend, "track": tuple(track)}
    given |= {"constraint": tuple(constraint)}
    text = command_words("sweep", names, changes, **given, objectives=",".join(named), plugin=plugins)
    words = SweepWords(
        **given,
        objectives=[word for name in named for word in name.split(",")],
        resume=resume,
        quiet=not progress,
        command=text,
        started=started,
    )
    loaded = spaces_of(names, changes, not progress)
    options = sweep_options(words, loaded)
    folder = result_folder(out, "-".join(space.name for space in loaded), resume or extend > 0, not progress)
    plan, _ = sweep_in_folder(loaded, options, folder, words)
    refuse_all_failed(plan, words, folder)
    return SweepResult(folder)
