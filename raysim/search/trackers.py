"""Trackers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysim.core.errors import UserError

if TYPE_CHECKING:
    from ray.tune import Callback


def trackers(names: Sequence[str], folder: Path) -> list[Callback]:
    """Ray's own loggers, writing to DIR/track/ on this machine.

    Raises:
        UserError: a package is missing, with the extra to install.
    """
    return [_tracker(name, folder.absolute() / "track") for name in dict.fromkeys(names)]


def _tracker(name: str, folder: Path) -> Callback:
    try:
        if name == "mlflow":
            from ray.tune.logger.mlflow import MLflowLoggerCallback

            uri = f"sqlite:///{folder}/mlflow.db"
            made = _of_settings(MLflowLoggerCallback)(uri, experiment_name=folder.parent.name)
        else:
            from ray.tune.logger import TBXLoggerCallback

            made = _of_settings(TBXLoggerCallback)()
            write = made._summary_writer_cls  # else beside Tune's own state, which does not last
            made._summary_writer_cls = lambda path, **options: write(
                str(folder / "tensorboard" / Path(path).name), **options
            )
    except ImportError as error:
        raise UserError(
            f"--track {name}: the package '{error.name}' is missing; pip install 'raysim[{name}]'"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _of_settings(logger: type[Callback]) -> type[Callback]:
    """The logger, given what a trial sets and is called instead of its whole experiments."""

    class Logger(logger):
        def log_trial_start(self, trial: Any) -> None:
            trial.evaluated_params, whole, trial.config = (
                trial.config["shown"],
                trial.config,
                trial.config["shown"],
            )
            super().log_trial_start(trial)
            trial.config = whole

    return Logger
