"""Trackers: loggers that write beside raysim's files, one run of the tracker per trial or per `raysim run`.

MLflow and TensorBoard are written by Ray's own loggers. Ray's logger for Weights & Biases needs a login and
an actor per trial, so a few lines here write its files instead.
"""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysim.core.errors import UserError
from raysim.core.types import RoundRecord
from raysim.core.words import install_extra

if TYPE_CHECKING:
    from ray.tune import Callback


def check_trackers(names: Sequence[str]) -> None:
    """Check that trackers can write, before any work.

    Raises:
        UserError: A package is missing; the message names the extra to install. Or Weights & Biases should
            send what it gets, and nobody is logged in.
    """
    for name in names:
        try:
            _import(name)
        except ImportError as error:
            raise UserError(
                f"--track {name}: the package '{error.name}' is missing; {install_extra(name)}"
            ) from None
    if "wandb" in names and _wandb_mode() == "online" and not _logged_in():
        raise UserError(
            "--track wandb: WANDB_MODE=online, but nobody is logged in; run `wandb login`, set "
            "WANDB_API_KEY, or leave WANDB_MODE out: then files are written, and `wandb sync` sends them"
        )


def trackers(names: Sequence[str], folder: Path) -> list[Callback]:
    """Return loggers, which write to DIR/track/ on this machine.

    Args:
        names: Some of `mlflow`, `tensorboard` and `wandb`.
        folder: The result folder.

    Raises:
        UserError: A tracker cannot write (see `check_trackers`).
    """
    check_trackers(names)
    return [_tracker(name, folder.absolute() / "track") for name in dict.fromkeys(names)]


def _import(name: str) -> None:
    """Import the package of a tracker."""
    if name == "mlflow":
        import mlflow  # noqa: F401
    elif name == "wandb":
        import wandb  # noqa: F401
    else:
        import tensorboardX  # noqa: F401


class RunTracking:
    """One `raysim run` for its trackers: its settings, each round as a step, and its result at the end.

    A resumed run is another run of the tracker, with the rounds that were left.
    """

    def __init__(self, names: Sequence[str], folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        """Start.

        Args:
            names: Names of trackers; none is allowed.
            folder: The result folder.
            name: Name of the run.
            settings: The experiment by dotted path.
        """
        self._loggers: list[Any] = list(trackers(names, folder))
        self._trial, self._round = _RunAsTrial(name, settings, folder), 0
        for logger in self._loggers:
            logger.setup()
            logger.log_trial_start(self._trial)

    def log(self, record: RoundRecord) -> None:
        """Log the numbers of a round."""
        self._round = record.round
        self._log(record.row)

    def end(self, result: Mapping[str, Any] | None) -> None:
        """Log the result as `final/...`, and close; None after a failure."""
        if result is not None:
            self._log({f"final/{name}": value for name, value in result.items()})
        for logger in self._loggers:
            logger.log_trial_end(self._trial, failed=result is None)

    def _log(self, values: Mapping[str, Any]) -> None:
        steps = {"timesteps_total": self._round, "training_iteration": self._round}
        for logger in self._loggers:
            logger.log_trial_result(self._round, self._trial, {**_numbers(values), **steps})


class _RunAsTrial:
    """What Ray's loggers ask a trial for."""

    def __init__(self, name: str, settings: Mapping[str, Any], folder: Path) -> None:
        self.trial_id, self.local_path = name, str(folder.absolute() / "run")
        self.config: dict[str, Any] = {"tracked": {"label": name, **settings}}
        self.evaluated_params: dict[str, Any] = {}

    def init_local_path(self) -> None:
        """Make no folder: loggers write to DIR/track/."""

    def __str__(self) -> str:
        return self.trial_id


def _tracker(name: str, folder: Path) -> Callback:
    folder.mkdir(parents=True, exist_ok=True)
    if name == "mlflow":
        from ray.tune.logger.mlflow import MLflowLoggerCallback

        uri = f"sqlite:///{folder}/mlflow.db"
        logger = _with_settings(MLflowLoggerCallback)(uri, experiment_name=folder.parent.name)
        return logger
    if name == "wandb":
        return _with_settings(_wandb_logger())(folder)
    from ray.tune.logger import TBXLoggerCallback

    logger = _with_settings(TBXLoggerCallback)()
    # by default it writes beside Tune's own state, which is deleted
    make_writer = logger._summary_writer_cls
    logger._summary_writer_cls = lambda path, **options: make_writer(
        str(folder / "tensorboard" / Path(path).name), **options
    )
    return logger


def _with_settings(base: type[Callback]) -> type[Callback]:
    """Return a logger that gets the name and settings of a trial in place of its whole experiments."""

    class SettingsLogger(base):
        def log_trial_start(self, trial: Any) -> None:
            config = trial.config
            trial.evaluated_params = trial.config = config["tracked"]
            super().log_trial_start(trial)
            trial.config = config

    return SettingsLogger


def _wandb_logger() -> type[Callback]:
    """Return a logger that keeps one run of Weights & Biases open per trial, in this process."""
    import wandb
    from ray.tune.logger import LoggerCallback

    class WandbLogger(LoggerCallback):
        def __init__(self, folder: Path) -> None:
            super().__init__()
            self.folder, self.runs = folder, dict[Any, Any]()

        def log_trial_start(self, trial: Any) -> None:
            self.runs[trial] = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "raysim"),
                group=self.folder.parent.name,
                name=str(trial),
                config=dict(trial.config),
                dir=str(self.folder),
                mode=_wandb_mode(),
                reinit="create_new",
                settings=wandb.Settings(console="off", silent=True),
            )

        def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
            row = json.loads(result.get("row", "{}"))
            self.runs[trial].log({"round": result["timesteps_total"], **_numbers(row), **_numbers(result)})

        def log_trial_end(self, trial: Any, failed: bool = False) -> None:
            self.runs.pop(trial).finish(exit_code=int(failed))

    return WandbLogger


def _wandb_mode() -> Any:
    """Return how Weights & Biases writes: files only, unless the user says otherwise."""
    return os.environ.get("WANDB_MODE", "offline")


def _logged_in() -> bool:
    """Return whether there is a key of Weights & Biases on this machine."""
    netrc = Path("~/.netrc").expanduser()
    return bool(os.environ.get("WANDB_API_KEY")) or (netrc.is_file() and "wandb" in netrc.read_text())


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that are numbers."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, numbers.Real) and not isinstance(value, bool)
    }
