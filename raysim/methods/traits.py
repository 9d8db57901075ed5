"""Traits of a federated method: what it reads, where clients train, what they send and keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raysim.core.types import Inputs

Placement = Literal["federated", "alone", "pooled"]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The properties of a method under its hyperparameters. The defaults describe FedAvg on frozen features.

    `Method.traits` fills in `serves` and `personal` where a hook or the architectures already decide them.

    Attributes:
        inputs: What an image is to the method: a pooled feature, patch features, or pixels.
        placement: Where clients train: "federated" (a server averages), "alone" (nothing is sent), or
            "pooled" (one pseudo-client holds all images).
        trains: Whether there are rounds at all.
        stackable: Whether the clients of a micro-cohort may train stacked; else each trains alone (K = 1).
        segments: Whether the method can classify pixels.
        names_classes: Whether its classifier is made of the classes' names by the frozen backbone, so that it
            can also name classes that no client trained on (`task.novel`).
        image_size: Pixels a side where neither the task nor a backbone says otherwise; None = 64.
        serves: Whether the server works between rounds (`server_step`).
        needs_samples: Whether the server must hold labelled samples of its own (`task.ses`).
        sends_samples: Whether every client gets a copy of those samples before its first round.
        needs_updates: Whether `aggregate` reads the tensors of single clients rather than their sums.
        sends_aside: Whether clients send something beside the tensors that are averaged.
        personal: Whether clients have models of their own even where `init_private` gives them nothing.
        tuning_epochs: Epochs for which a client tunes the shared tensors before it is evaluated; 0 = none.
    """

    inputs: Inputs = "features"
    placement: Placement = "federated"
    trains: bool = True
    stackable: bool = True
    segments: bool = False
    names_classes: bool = False
    image_size: int | None = None
    serves: bool = False
    needs_samples: bool = False
    sends_samples: bool = False
    needs_updates: bool = False
    sends_aside: bool = False
    personal: bool = False
    tuning_epochs: int = 0

    def __post_init__(self) -> None:
        """Check that the traits agree with each other."""
        if self.sends_samples and not self.needs_samples:
            raise ValueError("sends_samples = True is not allowed without needs_samples = True")
        if self.tuning_epochs and not self.personal:
            raise ValueError(f"tuning_epochs = {self.tuning_epochs} is not allowed without personal = True")

    @property
    def pooled(self) -> bool:
        """Whether one pseudo-client holds all images."""
        return self.placement == "pooled"

    @property
    def averages(self) -> bool:
        """Whether a server averages what clients send."""
        return self.trains and self.placement == "federated"

    @property
    def needs_backbone(self) -> bool:
        """Whether the frozen backbone is needed: for features of images, or for the names of classes."""
        return self.inputs != "pixels" or self.names_classes
