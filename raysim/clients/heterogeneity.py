"""Measures of how different the clients' data are, and the table of all images with their clients.

Shapes: K clients, C classes (or domains), N training images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysim.clients.counts import Floats, Ints


def heterogeneity(parts: Sequence[Ints], labels: Ints, attributes: Ints) -> dict[str, Any]:
    """Measure a partition.

    With p_k the label distribution of client k, n_k its number of images, p the label distribution of all
    assigned images, and H the entropy:

    * `js_divergence` = 1/K sum_k JS(p_k, p), JS(a, b) = H((a + b) / 2) - (H(a) + H(b)) / 2 in bits: 0 (all
    equal) to 1.
    * `js_divergence_weighted` = sum_k (n_k / sum n) JS(p_k, p): the same, per image instead of per client.
    * `domain_js`: as `js_divergence`, for domains.
    * `effective_classes` = 1/K sum_k exp(H(p_k)), H in nats: 1 (single-class clients) to C.
    * `size_gini` = sum_ij |n_i - n_j| / (2 K sum n): 0 (equal sizes) towards 1.
    * `imbalance` = images of the most frequent class over those of the rarest, among assigned images.
    * `clients`, `min_size`, `max_size`, and `dropped_images`, the images without a client.

    The `p_k` of a client with few images is skewed by chance alone, so an even split of few images has a JS
    above 0.

    Args:
        parts: For each client the indices of its images; none is empty. K arrays
        labels: Class of each training image. [N]
        attributes: Domain of each training image. [N]

    Returns:
        The measures by name.

    Reference:
        Lin, "Divergence measures based on the Shannon entropy", 1991.
    """
    size_K = np.array([len(part) for part in parts])
    label_KC = _histogram(parts, size_K, labels)
    domain_KD = _histogram(parts, size_K, attributes)
    js_K = _js_to_all(label_KC)
    total_C = label_KC.sum(axis=0)
    return {
        "js_divergence": float(js_K.mean()),
        "js_divergence_weighted": float(js_K @ size_K / size_K.sum()),
        "domain_js": float(_js_to_all(domain_KD).mean()),
        "effective_classes": float(np.exp2(_entropy(label_KC / size_K[:, None])).mean()),
        "size_gini": _gini(size_K),
        "imbalance": float(total_C.max() / total_C[total_C > 0].min()),
        "clients": len(parts),
        "min_size": int(size_K.min()),
        "max_size": int(size_K.max()),
        "dropped_images": int(len(labels) - size_K.sum()),
    }


def partition_table(
    parts: Sequence[Ints],
    labels: Ints,
    attributes: Ints,
    images: Ints,
    training_labels: Ints | None = None,
    names: Sequence[str] | None = None,
) -> pa.Table:
    """Return the table of all assigned images: one row for each, sorted by client.

    Args:
        parts: For each client the indices of its images. K arrays
        labels: Class of each training image. [N]
        attributes: Domain of each training image. [N]
        images: Index of each training image in its dataset. [N]
        training_labels: Class with which its client trains it, where labels are noisy. [N]
        names: Names of the clients, where they have any. K

    Returns:
        Columns client (int32), image (int64), label (int16), domain (int16), training_label (int16) where
            `training_labels` are given, and client_name (string) where `names` are given.
    """
    rows = np.concatenate(parts)
    client = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return pa.table(
        {
            "client": pa.array(client, pa.int32()),
            "image": pa.array(images[rows], pa.int64()),
            "label": pa.array(labels[rows], pa.int16()),
            "domain": pa.array(attributes[rows], pa.int16()),
            **(
                {}
                if training_labels is None
                else {"training_label": pa.array(training_labels[rows], pa.int16())}
            ),
            **(
                {}
                if names is None
                else {"client_name": pa.array([names[int(number)] for number in client], pa.string())}
            ),
        }
    )


def _histogram(parts: Sequence[Ints], size_K: Ints, values: Ints) -> Ints:
    """Count the values among each client's images. [K, number of values]."""
    rows = np.concatenate(parts)
    width = int(values.max()) + 1
    cell = np.repeat(np.arange(len(parts)), size_K) * width + values[rows]
    return np.bincount(cell, minlength=len(parts) * width).reshape(len(parts), width)


def _entropy(share: Floats) -> NDArray[np.float64]:
    """Return the entropy in bits over the last axis."""
    return -(share * np.log2(share, out=np.zeros_like(share), where=share > 0)).sum(axis=-1)


def _js_to_all(counts_KC: Ints) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence of every row from their sum, in bits. [K]."""
    share_KC = counts_KC / counts_KC.sum(axis=1, keepdims=True)
    share_C = counts_KC.sum(axis=0) / counts_KC.sum()
    js_K = _entropy((share_KC + share_C) / 2) - (_entropy(share_KC) + _entropy(share_C)) / 2
    return np.clip(js_K, 0.0, 1.0)  # rounding errors


def _gini(size_K: Ints) -> float:
    """Return the Gini coefficient: the mean absolute difference over twice the mean."""
    rank = np.arange(1, len(size_K) + 1)
    weighted = (2 * rank - len(size_K) - 1) @ np.sort(size_K)
    return float(weighted / (len(size_K) * size_K.sum()))
