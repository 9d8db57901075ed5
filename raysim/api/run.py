"""`raysim.run`: one federation, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from raysim.api.experiments import DEFAULT_SPACE, command_words, experiment_of, result_folder
from raysim.api.results import RunResult
from raysim.api.running import OnRound, RunOptions, run_in_folder
from raysim.core.errors import UserError
from raysim.core.plugins import load_plugins
from raysim.experiment.records import Experiment

ENGINES = ("serial", "ray")


def run(
    experiment: str | Path | Experiment | Mapping[str, Any] = DEFAULT_SPACE,
    overrides: Mapping[str, Any] | None = None,
    *,
    rounds: int | None = None,
    engine: Literal["serial", "ray"] | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    open_test: bool = False,
    resume: bool = False,
    track: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    progress: bool = True,
    on_round: OnRound | None = None,
) -> RunResult:
    """Simulate one federation, as `raysim run` does, and return its result.

    Args:
        experiment: The name of a space or a path to one, whose base is run; the folder of an earlier run or
            its config.json; an `Experiment`; or overrides of the space `fedrsclip`.
        overrides: Settings by dotted path, such as `{"scenario": "dirichlet", "scenario.alpha": 0.1}`.
        rounds: Communication rounds, the same as `{"rounds": rounds}`.
        engine: `"serial"` trains in this process, `"ray"` in processes of its own; the numbers are equal, bit
            for bit. None: `"ray"` where `workers` is given, else `"serial"`.
        workers: Number of client actors, the same as `{"resources.workers": workers}`.
        out: The result folder, or an address in a bucket to which one in `results/` is copied (`s3://...`);
            None: a new folder in `results/`. A finished run of the same experiment in it
            is read, because equal experiments have equal results.
        open_test: Whether the final model is measured on the test split, too; the opening is logged.
        resume: Whether to go on with an unfinished run in `out` (None: the newest in `results/`).
        track: Trackers that rounds and the result are logged to as well: `"wandb"`, `"mlflow"`,
            `"tensorboard"`.
        plugins: Python files with methods, scenarios, datasets or networks of your own.
        progress: Whether a bar is shown; it suits a terminal, a notebook or a log.
        on_round: Called with the record of each round, as it comes: `record.round`, and the dictionary
            `record.row` (accuracies are in the rounds that are evaluated).

    Returns:
        The finished run.

    Raises:
        UserError: A mistake that you can correct, in the words of the command line, before any work starts.
        ClientError: A client's work failed; the message names the round and the clients.
        KeyboardInterrupt: You interrupted; every finished round is on disk, and `resume=True` goes on.
    """
    load_plugins(plugins)
    changes: dict[str, Any] = dict(overrides or {})
    if isinstance(experiment, Mapping):
        changes = {**experiment, **changes}
        experiment = DEFAULT_SPACE
    changes |= {} if rounds is None else {"rounds": rounds}
    changes |= {} if workers is None else {"resources.workers": workers}
    chosen = engine or ("serial" if workers is None else "ray")
    if chosen not in ENGINES:
        raise UserError(f"engine = {engine!r} is not allowed: it should be 'serial' or 'ray'")
    name, made = experiment_of(experiment, changes)
    folder = result_folder(out, f"{name}-{made.id}", resume, not progress)
    if isinstance(experiment, Experiment):
        words, changes = str(folder / "config.json"), {}
    else:
        words = str(experiment)
    options = RunOptions(
        engine=chosen,
        resume=resume,
        reuse=True,
        open_test=open_test,
        track=tuple(track),
        quiet=not progress,
        command=command_words("run", [words], changes, engine=chosen, open_test=open_test, plugin=plugins),
        on_round=on_round,
    )
    run_in_folder(made, folder, options)
    return RunResult(folder)
