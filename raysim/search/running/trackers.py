"""Trackers: Ray's own loggers, which write beside raysim's files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysim.core.errors import UserError

if TYPE_CHECKING:
    from ray.tune import Callback


def trackers(names: Sequence[str], folder: Path) -> list[Callback]:
    """Return Ray's loggers, which write to DIR/track/ on this machine.

    Args:
        names: `mlflow` and `tensorboard`, or one of them.
        folder: The result folder.

    Raises:
        UserError: A package is missing; the message names the extra to install.
    """
    return [_tracker(name, folder.absolute() / "track") for name in dict.fromkeys(names)]


def _tracker(name: str, folder: Path) -> Callback:
    try:
        if name == "mlflow":
            from ray.tune.logger.mlflow import MLflowLoggerCallback

            uri = f"sqlite:///{folder}/mlflow.db"
            logger = _with_settings(MLflowLoggerCallback)(uri, experiment_name=folder.parent.name)
        else:
            from ray.tune.logger import TBXLoggerCallback

            logger = _with_settings(TBXLoggerCallback)()
            # by default it writes beside Tune's own state, which is deleted
            make_writer = logger._summary_writer_cls
            logger._summary_writer_cls = lambda path, **options: make_writer(
                str(folder / "tensorboard" / Path(path).name), **options
            )
    except ImportError as error:
        raise UserError(
            f"--track {name}: the package '{error.name}' is missing; pip install 'raysim[{name}]'"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
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
