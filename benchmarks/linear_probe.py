"""What ImageNet weights are worth on aerial images: a linear probe on frozen features, few images a class.

Logistic regression (scikit-learn, L2, C = 1 on standardised features) on the pooled output of a network in
evaluation mode. The training images are drawn from the training split by a seed, all test images are from
the test split. The same network with random weights is beside it; its batch norms have seen training images
once, since untrained statistics would hide the features.

    python -m benchmarks.linear_probe [--dataset ucmerced] [--image-size 160] [--shots 5 15]
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.func import functional_call

from raysim.core.seeds import numpy_rng
from raysim.core.types import SPLITS
from raysim.data.features import features
from raysim.data.registry import load_dataset
from raysim.data.splits import split
from raysim.nn.convnets import NETWORKS, pixel_statistics
from raysim.nn.networks import Network, initial_weights, standardise

BATCH = 50


def pooled(name: str, pretrained: bool, pixels: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the pooled features [N, d] of images [N, S, S, 3] uint8."""
    network = Network(name, 2, pretrained=pretrained)
    weights = initial_weights(network, torch.Generator().manual_seed(0))
    x = torch.from_numpy(np.array(pixels))

    def run(part: torch.Tensor) -> torch.Tensor:
        return functional_call(network, weights, (standardise(part, *pixel_statistics(name)),)).features

    with torch.no_grad():
        if not pretrained:
            network.train()  # writes the running statistics into `weights`
            for part in x[train].split(BATCH):
                run(part)
        network.eval()
        return torch.cat([run(part) for part in x.split(BATCH)]).numpy()


def accuracy(feature: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Return the share of test images that the probe classifies right."""
    scaler = StandardScaler().fit(feature[train])
    probe = LogisticRegression(max_iter=2000).fit(scaler.transform(feature[train]), labels[train])
    return float(probe.score(scaler.transform(feature[test]), labels[test]))


def drawn(labels: np.ndarray, candidates: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Draw so many images of each class from the candidates."""
    rng = numpy_rng(seed, "linear probe")
    return np.concatenate(
        [rng.choice(candidates[labels[candidates] == c], shots, replace=False) for c in np.unique(labels)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="ucmerced")
    parser.add_argument("--network", choices=NETWORKS, default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--shots", type=int, nargs="+", default=[5, 15], help="training images of each class")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the training images")
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    dataset = load_dataset(given.dataset)
    pixels = features(dataset, None, inputs="pixels", image_size=given.image_size)[:, 0]
    parts = split(dataset, 0)
    candidates, test = (np.flatnonzero(parts == SPLITS[name]) for name in ("train", "test"))
    result: dict[str, Any] = {**vars(given), "accuracy": {}}
    for name, pretrained in (("imagenet", True), ("random", False)):
        seen = drawn(dataset.labels, candidates, max(given.shots), 0)
        feature = pooled(given.network, pretrained, pixels, seen)
        for shots in given.shots:
            draws = [drawn(dataset.labels, candidates, shots, seed) for seed in range(given.seeds)]
            values = [accuracy(feature, dataset.labels, draw, test) for draw in draws]
            result["accuracy"][f"{name}, {shots} a class"] = [round(value, 4) for value in values]
            print(f"{name}, {shots} a class: {np.mean(values):.1%}", flush=True)
    result["test_images"] = len(test)
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
