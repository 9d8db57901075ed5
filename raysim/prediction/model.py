"""The model of a finished run: predictions for new images, prompts, and the model as a file of its own.

Images pass through the code that prepared the run's own images: the same reading rule, resizing, backbone and
batches. So predictions for the validation images give the run's own validation accuracy.

Shapes: N images, S pixels a side, C classes, P tokens of a prompt, W width of a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from raysim.core.errors import UserError
from raysim.core.types import Context, Scope, Tensors
from raysim.data.features import compute_inputs
from raysim.data.mask_files import write_classes
from raysim.experiment.records import Experiment
from raysim.nn.rows import stack
from raysim.prediction.exporting import Format, classifier, write_model
from raysim.prediction.images import GivenImages, given_images
from raysim.prediction.masks import mask_of, mask_paths, write_mask
from raysim.prediction.places import experiment_of, run_of
from raysim.prediction.rows import Rows, client_number
from raysim.prediction.words import nearest_words
from raysim.simulation.device import device_of
from raysim.simulation.finite import NotFinite, finite_logits
from raysim.simulation.images import backbone_of
from raysim.simulation.training import one_thread
from raysim.storage.model_card import read_card

Progress = Callable[[int, int], None]
Client = int | str | None
PROMPT = "prompt."  # names of a row's prompts begin with it


def open_model(folder: Path | str) -> Model:
    """Open the model of a finished run; of a sweep, that of the best configuration which its page names.

    Args:
        folder: Folder of a run or of a sweep.

    Raises:
        UserError: There is no finished run or no saved model, a plug-in of the run is not loaded, or a sweep
            has a best configuration for each of several scenarios. The message says what helps.
    """
    run, note = run_of(Path(folder).expanduser())
    card = read_card(run)
    return Model(run, card, experiment_of(run, card), note)


class Model:
    """A finished run's models: the server's, and each client's own. Made by `open_model`.

    Attributes:
        folder: Folder of the run.
        card: Contents of its `model.json`.
        experiment: Its experiment.
        note: Which run of a sweep was taken; empty for a run.
        classes: Names of the classes, in the order of the logits. C
        clients: Number of clients.
    """

    def __init__(self, folder: Path, card: dict[str, Any], experiment: Experiment, note: str = "") -> None:
        self.folder, self.card, self.experiment, self.note = folder, card, experiment, note
        self.classes: tuple[str, ...] = tuple(card["classes"])
        self.clients: int = card["clients"]
        self.method, self.device = experiment.method, device_of(experiment.resources)

    def __repr__(self) -> str:
        """Name, classes and clients."""
        return f"<{self.card['name']}: {len(self.classes)} classes, {self.clients} clients, {self.folder}>"

    def client_note(self, client: Client) -> str:
        """Say what a client's model lacks; empty where nothing is to be said."""
        if client is None:
            return ""
        number = self._number(client)
        if not self.card["personal"]:
            return f"method {self.method.name}: all clients use the server's model"
        traits = self.method.traits
        trained = self.card["trained_clients"]  # none where no client keeps anything
        if trained and number not in trained and not traits.tuning_epochs:
            return f"client {client} never trained: its own part of the model is as it was drawn"
        return ""

    def predict(
        self,
        images: Any,
        client: Client = None,
        *,
        top: int = 1,
        architecture: str | None = None,
        masks: Path | str | None = None,
        progress: Progress | None = None,
    ) -> pa.Table:
        """Classify images; where the run classified pixels, also write masks.

        Args:
            images: Paths of files or folders, or an array [N, H, W, bands] (see `given_images`).
            client: Number or name of the client whose own model predicts (`client_number`); None: the
                server's model.
            top: Classes for each image, 1 to C; more than one gives columns class_2, probability_2 and so on.
            architecture: Which of the server's models, where clients have several networks.
            masks: Folder for masks, PNG files of class numbers (255: not looked at), and for `classes.txt`,
                which names them.
            progress: Called with the number of images done and of all images.

        Returns:
            A row per image, in the order given: file, class, probability (softmax of the logits; not
            calibrated), problem (null, or why the image could not be read, and its other columns are null).
            Of segmentation: file, class (the most frequent one), share (of the pixels looked at), mask,
            problem.

        Raises:
            UserError: A wrong argument, a mask that would be written over an image, or a model that cannot be
                had.
        """
        if not 1 <= top <= len(self.classes):
            raise UserError(f"top = {top} is not allowed: it should be 1 to {len(self.classes)}, the classes")
        segments = self.card["kind"] == "segmentation"
        if masks is not None and not segments:
            raise UserError("masks are not possible: this model classifies whole images")
        if top > 1 and segments:
            raise UserError(f"top = {top} is not allowed: this model classifies pixels")
        given = given_images(images, self.experiment.task.reading)
        row, scope = self.row(client, architecture)
        if segments:
            return self._segment(
                given, row, scope, None if masks is None else Path(masks).expanduser(), progress
            )
        return self._classify(given, row, scope, top, progress)

    def prompts(self, client: Client = None) -> Tensors:
        """Return the learned prompts [P, W] by name: "shared", and with a client also "private".

        Raises:
            UserError: The method learns no prompt.
        """
        row, _ = self.row(client, None)
        prompts = {
            name.removeprefix(PROMPT): tensor.detach().cpu()
            for name, tensor in row.items()
            if name.startswith(PROMPT)
        }
        if not prompts:
            raise UserError(f"method {self.method.name} learns no prompt")
        return prompts

    def nearest_words(self, client: Client = None, k: int = 5) -> pa.Table:
        """Return the words nearest to each token of the prompts; they explain little (`prediction.words`).

        Raises:
            UserError: The method learns no prompt, or k is below 1.
        """
        if k < 1:
            raise UserError(f"k = {k} is not allowed: it should be at least 1")
        return nearest_words(self.prompts(client), self.context.backbone, k)

    def export(
        self,
        path: Path | str,
        format: Format = "torchscript",  # the word of torch and of ONNX
        client: Client = None,
        architecture: str | None = None,
    ) -> Path:
        """Write a model as one file that runs without raysim (`prediction.exporting`).

        Args:
            path: The file; the class names are written to `PATH.json`.
            format: "torchscript" or "onnx".
            client: Number or name of the client whose own model is written; None: the server's.
            architecture: Which of the server's models, where there are several.

        Returns:
            The file.

        Raises:
            UserError: A model that is no function from one image to logits, or a package that is missing.
        """
        path = Path(path)
        row, scope = self.row(client, architecture)
        with one_thread(), torch.no_grad():
            module = classifier(self.method, self._model, self.context, row, scope)
        facts = {
            "classes": list(self.classes),
            "model": self.card["name"],
            "client": None if client is None else self._number(client),
            "state_sha256": self.card["state_sha256"],
            "raysim": self.card["raysim"],
        }
        write_model(module, path, format, self.card["image_size"], facts)
        return path

    def row(self, client: Client, architecture: str | None) -> tuple[Tensors, Scope]:
        """Return the tensors of a model, and whether it is "shared" or "personal"."""
        with one_thread():
            if client is None:
                return self._rows.server(architecture), "shared"
            if architecture is not None:
                raise UserError(
                    f"architecture = {architecture} is not allowed with a client, who has its own"
                )
            return self._rows.client(self._number(client)), "personal"

    @cached_property
    def context(self) -> Context:
        """The task as the method sees it, with the frozen backbone.

        Raises:
            UserError: The backbone's weights are not those of the run.
        """
        task, backbone = self.experiment.task, None
        if self.card["backbone"]:
            backbone = backbone_of(task.backbone, task.backbone_path, str(self.device))
            if backbone.fingerprint != self.card["backbone"]:
                raise UserError(
                    f"task.backbone = {task.backbone}: these are not the weights that the run used "
                    f"(fingerprint {backbone.fingerprint[:12]}, then {self.card['backbone'][:12]}); put "
                    "the old ones back"
                )
        return Context(
            classes=self.classes,
            templates=tuple(self.card["templates"]),
            backbone=backbone,
            image_size=self.card["image_size"],
            device=self.device,
            kind=self.card["kind"],
        )

    @cached_property
    def _model(self) -> Any:
        with one_thread():
            return self.method.build(self.context)

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self.folder, self.card, self.experiment, self._model, self.device)

    def _number(self, client: int | str) -> int:
        return client_number(self.card, client)

    def _logits(
        self, given: GivenImages, row: Tensors, scope: Scope, progress: Progress | None
    ) -> Iterator[torch.Tensor]:
        """Yield the logits [B, C, ...] of blocks of images."""
        traits, params = self.method.traits, stack([row], self.device)
        backbone = None if traits.inputs == "pixels" else self.context.backbone
        size = self.card["image_size"]
        blocks = compute_inputs(given, backbone, traits.inputs, size, 1, progress)
        with closing(blocks), one_thread():
            for block in blocks:
                # what the model keeps warm must remain usable in training: no tensors of inference mode
                with torch.inference_mode(False), torch.no_grad():
                    x = torch.from_numpy(np.array(block[:, 0])).to(self.device)
                    try:
                        logits = finite_logits(self.method.predict(self._model, params, x, scope))
                    except NotFinite:
                        raise UserError(
                            "the logits of these images are infinite or NaN: nothing is predicted"
                        ) from None
                    if logits is None:
                        raise UserError(
                            f"method {self.method.name} has no {scope} model; name a client, or none"
                        )
                    yield logits[0]

    def _classify(
        self, given: GivenImages, row: Tensors, scope: Scope, top: int, progress: Progress | None
    ) -> pa.Table:
        """Return the table of a classification."""
        blocks = [logits.softmax(-1).topk(top) for logits in self._logits(given, row, scope, progress)]
        chances, labels = (torch.cat([block[part] for block in blocks]).cpu().numpy() for part in (0, 1))
        unread = np.isin(np.arange(len(given)), list(given.problems))
        columns: dict[str, Any] = {"file": given.names}
        for place in range(top):
            end = f"_{place + 1}" if place else ""
            columns[f"class{end}"] = pa.array(
                np.array(self.classes, dtype=object)[labels[:, place]], mask=unread
            )
            columns[f"probability{end}"] = pa.array(chances[:, place].astype(np.float64), mask=unread)
        return pa.table({**columns, "problem": _problems(given)})

    def _segment(
        self, given: GivenImages, row: Tensors, scope: Scope, folder: Path | None, progress: Progress | None
    ) -> pa.Table:
        """Write masks, and return the table of what they show."""
        paths = [] if folder is None else mask_paths(given.sources, folder)
        if folder is not None:
            write_classes(folder, self.classes)

        def predict(parts: GivenImages) -> np.ndarray:
            return (
                torch.cat([logits.argmax(1) for logits in self._logits(parts, row, scope, None)])
                .cpu()
                .numpy()
            )

        rows = []
        for place, name in enumerate(given.names):
            image = given.image(place)
            line: dict[str, Any] = {"file": name, "problem": given.problems.get(place)}
            if place not in given.problems:
                mask = mask_of(image, self.experiment.task.crop, self.card["image_size"], predict)
                counts = np.bincount(mask.ravel(), minlength=256)[: len(self.classes)]
                line |= {"class": self.classes[counts.argmax()], "share": float(counts.max() / counts.sum())}
                if folder is not None:
                    write_mask(mask, paths[place])
                    line["mask"] = str(paths[place])
            rows.append(line)
            if progress is not None:
                progress(place + 1, len(given))
        kinds = {"file": pa.string(), "class": pa.string(), "share": pa.float64(), "mask": pa.string()}
        kinds["problem"] = pa.string()
        return pa.table(
            {name: pa.array([line.get(name) for line in rows], kind) for name, kind in kinds.items()}
        )


def _problems(given: GivenImages) -> pa.Array:
    """Return the column of what could not be read."""
    return pa.array([given.problems.get(place) for place in range(len(given))], pa.string())
