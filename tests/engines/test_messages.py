"""Tensors in messages: their values, their layout, and memory of their own."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import ray
import torch
from ray import cloudpickle

from raysim.engines import messages

BASE = torch.arange(24.0).reshape(4, 6)
TENSORS = {
    "matrix": BASE,
    "a row of it": BASE[1],
    "a column of it": BASE[:, 1],
    "turned": BASE.t(),
    "channels last": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "number": torch.tensor(3.0, dtype=torch.float64),
    "empty": torch.zeros(0, 3),
    "truth": torch.tensor([True, False]),
    "half": BASE.bfloat16(),
    "complex": torch.complex(BASE, BASE),
    "sparse": torch.eye(3).to_sparse(),
    "parameter": torch.nn.Parameter(BASE.clone()),
    "with gradient": BASE.clone().requires_grad_(),
}


@pytest.fixture(scope="module", autouse=True)
def arrays(ray_session: None) -> Iterator[None]:
    messages.use_arrays()
    yield


def sent(thing: object) -> tuple[object, int]:
    """What arrives, in memory for reading only as Ray's, and the bytes that travel beside the arrays."""
    buffers: list[pickle.PickleBuffer] = []
    text = cloudpickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    frozen = [bytes(buffer.raw()) for buffer in buffers]
    return pickle.loads(text, buffers=frozen), len(text)


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_arrives_as_it_was(name: str) -> None:
    tensor = TENSORS[name]
    arrived, _ = sent(tensor)
    assert isinstance(arrived, torch.Tensor) and type(arrived) is type(tensor)
    assert arrived.dtype == tensor.dtype and arrived.requires_grad == tensor.requires_grad
    assert torch.equal(arrived.to_dense(), tensor.to_dense())
    if not tensor.is_sparse:
        assert arrived.stride() == tensor.stride(), "kernels, and so bits, depend on the layout"


def test_what_arrives_may_be_changed() -> None:
    arrived, _ = sent({"weight": BASE})
    assert isinstance(arrived, dict)
    arrived["weight"] += 1
    assert torch.equal(arrived["weight"], BASE + 1) and torch.equal(BASE, torch.arange(24.0).reshape(4, 6))


def test_a_tensor_travels_as_the_bytes_of_an_array() -> None:
    _, beside = sent([torch.rand(1000) for _ in range(10)])
    assert beside < 3000, "4,000 bytes each would be among them"
    assert isinstance(messages.packed(BASE), np.ndarray)


def test_ray_gives_tensors_of_its_store() -> None:
    arrived = ray.get(ray.put({"large": torch.ones(300_000), "small": torch.ones(2)}))
    arrived["large"].mul_(2)
    assert arrived["large"].sum() == 600_000 and arrived["small"].sum() == 2
