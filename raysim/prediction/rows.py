"""The tensors of a finished run's models: a row for the server's model, a row for each client's own.

The rows are those that the run itself evaluated. Two kinds of clients' models need the images of the run
again: those that are tuned before use (`tuning_epochs`), and those that meet the server's samples when they
receive (SAFE's FAU).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from raysim.core.errors import UserError
from raysim.core.types import MicroCohort, Private, ServerState, StoredState, Tensors
from raysim.data.contents import refuse_other_images
from raysim.experiment.records import Experiment
from raysim.simulation.datasets import refresh
from raysim.simulation.federation import Federation
from raysim.simulation.images import contents_of
from raysim.simulation.server import without_late
from raysim.simulation.training import TUNE, first_private
from raysim.simulation.worker import Worker
from raysim.storage.model_card import check_files
from raysim.storage.store import Privates, Store
from raysim.storage.vault import digest_of, fetch, file_of


class Rows:
    """Reads the rows of a run.

    Args:
        folder: The run's folder.
        card: Its card.
        experiment: Its experiment.
        model: The frozen part of its method.
        device: Where tensors are used.
    """

    def __init__(
        self, folder: Path, card: dict[str, Any], experiment: Experiment, model: Any, device: torch.device
    ) -> None:
        self.folder, self.card, self.experiment, self.model = folder, card, experiment, model
        self.method, self.device = experiment.method, device
        self.store = Store(folder, experiment)
        self._state: tuple[ServerState, Privates] | None = None

    @property
    def state(self) -> ServerState:
        """The server's state after the last round."""
        return self._read()[0]

    def server(self, architecture: str | None) -> Tensors:
        """Return the row of the server's model.

        Args:
            architecture: Which one, where the server has several.

        Raises:
            UserError: The server has none, or several and none is named.
        """
        name, models = self.method.name, self.method.server_models(self.state)
        if not models:
            raise UserError(
                f"method {name}: the server has no model of its own here; name a client "
                f"(--client 0 to {self.card['clients'] - 1})"
            )
        names = list(self.method.architectures)
        if architecture is None and len(models) == 1:
            return models[0]
        if architecture not in names or len(models) != len(names):
            raise UserError(
                f"architecture = {architecture} is not allowed: the server has a model for each of "
                f"{', '.join(names)}; name one (--architecture), or a client, who has one of them"
            )
        return models[names.index(architecture)]

    def client(self, client: int) -> Tensors:
        """Return the row of a client's own model, as it would start the next round (tuned where it is tuned).

        Raises:
            UserError: It needs images that are not there, or its private state is gone or damaged.
        """
        private, traits = self._private(client), self.method.traits
        if self.card["personal"] and (traits.tuning_epochs or traits.needs_samples):
            return self._with_images(client, private)
        received = {
            name: tensor.to(self.device) for name, tensor in self.method.broadcast(self.state, client).items()
        }
        kept = first_private(self.experiment, self.model, client) if private is None else private
        return self.method.receive(self.model, received, kept, client, None)[0]

    def _with_images(self, client: int, private: Private | None) -> Tensors:
        """Return the row of a client whose model needs the run's images again."""
        task, traits = self.experiment.task, self.method.traits
        why = (
            "tuned on its own images before use" if traits.tuning_epochs else "merged by the server's samples"
        )
        try:
            refresh()
            refuse_other_images(str(self.folder), [self.card["dataset"]], contents_of([task]))
            worker = Worker(Federation.of(self.experiment), self.device)
            cohort = MicroCohort(0, (client,), (private,), str(self.store.vault))
            if traits.tuning_epochs:
                return worker.training.fit(self.state, cohort, traits.tuning_epochs, TUNE).rows[0]
            return worker.training.start(self.state, cohort).rows[0]
        except UserError as error:
            raise UserError(
                f"client {client}: its model is {why}, which needs the run's images: {error}"
            ) from None

    def _private(self, client: int) -> Tensors | None:
        """Return a client's private tensors; None where it never trained."""
        private = self._read()[1].get(client)
        if not isinstance(private, StoredState):
            return private
        path = file_of(self.store.vault, private.digest)
        if not path.exists():
            raise UserError(
                f"client {client}: its own network is not in {self.store.vault} (a sweep removes the "
                "networks of its clients); repeat this configuration with `raysim run`, or leave the client "
                "out for the server's model"
            )
        try:
            tensors = fetch(private, self.store.vault)
        except Exception as error:  # safetensors raises a type of its own
            raise UserError(f"the saved model is damaged: {path} cannot be read ({error})") from None
        if digest_of(tensors) != private.digest:
            raise UserError(f"the saved model is damaged: {path} is not what the run wrote")
        return tensors

    def _read(self) -> tuple[ServerState, Privates]:
        """Read the state once, after a check of its files."""
        if self._state is None:
            check_files(self.folder, self.card)
            manifest = self.store.manifest()
            if manifest is None:
                raise UserError(f"the saved model is damaged: {self.folder}/checkpoints has no manifest.json")
            files = [manifest["state"], *manifest["private"].values()]
            named = {f"checkpoints/{file}" for file in files if "/" not in file}
            if not named <= set(self.card["files"]) or manifest["round"] != self.card["round"]:
                raise UserError(
                    f"the saved model is damaged: {self.folder}/checkpoints/manifest.json names other files "
                    "than model.json does. Copy the folder again, or run again"
                )
            state, privates = self.store.read_state(manifest)
            self._state = without_late(state)[0], privates
        return self._state


def client_number(card: dict[str, Any], client: int | str) -> int:
    """Return the number of a client, who may be named where clients exist.

    Args:
        card: The run's card.
        client: A number or a name; `number:2` or `name:2` where a word is the number of one client and the
            name of another one.

    Raises:
        UserError: There is no such client, or the word means two.
    """
    names: list[str] = card["client_names"]
    word = str(client)
    if names and word not in names and word.startswith("number:"):
        names, word = [], word.removeprefix("number:")
    elif names and word not in names and word.removeprefix("name:") in names:
        return names.index(word.removeprefix("name:"))
    named = names.index(word) if word in names else None
    number = int(word) if word.isdecimal() and int(word) < card["clients"] else None
    if named is not None and number is not None and named != number:
        raise UserError(
            f"client = {client} is not allowed: it is the name of client number {named}, and client number "
            f"{number} is '{names[number]}'; write name:{word} or number:{word}"
        )
    found = number if named is None else named
    if found is None:
        names = card["client_names"]
        known = f", or one of {', '.join(names[:8])}{' ..' * (len(names) > 8)}" if names else ""
        raise UserError(f"client = {client} is not allowed: it should be 0 to {card['clients'] - 1}{known}")
    return found
