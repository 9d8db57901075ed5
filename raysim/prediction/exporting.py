"""A model as one file that runs without raysim: TorchScript or ONNX, with class names and input beside it.

    images  uint8 [N, S, S, 3] RGB, resized as in training (`raysim.data.views.resize`)
    logits  float32 [N, C], of segmentation [N, C, S, S]

Standardisation is part of the file. A network is exported as it is. A prompt becomes the features of its
classes, so that image tower and features are one network.

Shapes: N images, S pixels a side, d features, C classes.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from raysim.core.errors import UserError
from raysim.core.types import Context, Tensors
from raysim.core.words import install_extra
from raysim.methods.base import Method
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel
from raysim.nn.networks import standardise

Format = Literal["torchscript", "onnx"]
FORMATS = get_args(Format)
ALIKE = 1e-3  # largest difference of two logits, relative to their size, that rounding explains
TRACED = 2  # images with which a model is traced; a single one would fix the number


class NetworkClassifier(nn.Module):
    """A whole network, from pixels to logits.

    Args:
        module: The network with its weights.
        pixels: Mean and deviation of each channel.
        more: What the network is given beside the images.
    """

    def __init__(self, module: nn.Module, pixels: tuple[Any, Any], more: tuple[Any, ...]) -> None:
        super().__init__()
        self.module, self.pixels, self.more = module, pixels, more

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify images."""
        logits: torch.Tensor = self.module(standardise(images, *self.pixels), *self.more).logits
        return logits


class PromptClassifier(nn.Module):
    """CLIP's image tower and the features of the classes, or another linear classifier behind it.

    Args:
        visual: The image tower.
        pixels: Mean and deviation of each channel.
        weight_Cd: The classes' features times the logit scale.
        bias_C: What is added to the logits; zeros for a prompt.
    """

    def __init__(
        self, visual: nn.Module, pixels: tuple[Any, Any], weight_Cd: torch.Tensor, bias_C: torch.Tensor
    ) -> None:
        super().__init__()
        self.visual, self.pixels = visual, pixels
        self.register_buffer("weight_Cd", weight_Cd)
        self.register_buffer("bias_C", bias_C)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify images."""
        features = F.normalize(self.visual(standardise(images, *self.pixels)), dim=-1)
        return F.linear(features, self.get_buffer("weight_Cd"), self.get_buffer("bias_C"))


def classifier(method: Method, model: Any, context: Context, row: Tensors, scope: Any) -> nn.Module:
    """Return a model as one module.

    Args:
        method: The method.
        model: What its `build` returned.
        context: The task.
        row: The tensors of the model.
        scope: "shared" or "personal".

    Raises:
        UserError: The method's logits are no function of the image's pooled feature alone, or it is neither
            a network nor a prompt.
    """
    if isinstance(method, NetworkMethod) and isinstance(model, NetworkModel):
        return _network(method, model, row)
    if method.traits.inputs == "pixels" or context.backbone is None:
        raise UserError(
            f"method {method.name} is not exported: it is neither a network nor a prompt of raysim"
        )
    return _prompt(method, model, context, row, scope)


def _network(method: NetworkMethod, model: NetworkModel, row: Tensors) -> nn.Module:
    """Return a network with its weights."""
    architecture, weights = model.weights(row)
    module = copy.deepcopy(model.modules[architecture]).eval()
    module.load_state_dict(weights, strict=False)  # a row has more than the module: contexts, own copies
    loaded = dict(module.named_parameters()).keys() - weights.keys()
    if loaded:
        raise UserError(f"method {method.name}: the saved model lacks {', '.join(sorted(loaded)[:3])}")
    blank = torch.zeros(1, model.context.image_size, model.context.image_size, 3, dtype=torch.uint8)
    more = method.gate_inputs(module, row, blank, None, 1.0)
    return NetworkClassifier(module, model.pixels[architecture], more).requires_grad_(False)


def _prompt(method: Method, model: Any, context: Context, row: Tensors, scope: Any) -> nn.Module:
    """Return the image tower with the features of the classes: what unit vectors add to the logits."""
    backbone = context.backbone
    params = {name: tensor[None] for name, tensor in row.items()}
    width = backbone.embed_dim
    patches = method.traits.inputs == "patches"

    def logits(features: torch.Tensor) -> torch.Tensor:
        answer = method.predict(model, params, features, scope)
        if answer is None:
            raise UserError(f"method {method.name} has no model of scope '{scope}'")
        return answer[0]

    def inputs(pooled_Nd: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return torch.cat([pooled_Nd[:, None], others], dim=1) if patches else pooled_Nd

    blank = torch.zeros(width, 4, width, device=context.device)
    bias_C = logits(inputs(blank[:1, 0], blank[:1]))[0]
    weight_dC = logits(inputs(torch.eye(width, device=context.device), blank)) - bias_C
    rng = torch.Generator().manual_seed(0)
    probe = F.normalize(torch.randn(4, width, generator=rng), dim=-1).to(context.device)
    others = F.normalize(torch.randn(4, 4, width, generator=rng), dim=-1).to(context.device)
    expected = logits(inputs(probe, others))
    linear = probe @ weight_dC + bias_C
    if not torch.allclose(linear, expected, rtol=ALIKE, atol=ALIKE * float(expected.abs().max())):
        raise UserError(
            f"method {method.name} with these settings is not exported: its logits are no product of the "
            "image's pooled feature with features of the classes (a transport, for example)"
        )
    pixels = (backbone.mean, backbone.std)
    return PromptClassifier(backbone.clip.visual, pixels, weight_dC.T.contiguous(), bias_C)


def write_model(module: nn.Module, path: Path, form: str, size: int, facts: Mapping[str, Any]) -> Path:
    """Write a module as a file, and `PATH.json` with the class names and what goes in and comes out.

    Args:
        module: From images to logits.
        path: The file.
        form: "torchscript" or "onnx".
        size: Side S of the images in pixels.
        facts: What stands in the JSON file besides.

    Raises:
        UserError: An unknown format, a package that is missing, or a folder that cannot be written.
    """
    if form not in FORMATS:
        raise UserError(f"format = {form!r} is not allowed: it should be {' or '.join(FORMATS)}")
    device = next(
        (tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu")
    )
    images = torch.zeros(TRACED, size, size, 3, dtype=torch.uint8, device=device)
    beside = path.with_name(f"{path.name}.json")
    about = {
        "input": f"images: uint8 [N, {size}, {size}, 3], RGB; the shorter side resized to {size} (bicubic), "
        "then the square in the middle",
        "output": "logits: float32 [N, classes], of segmentation [N, classes, height, width]",
        **facts,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing: sizes become constants, as they should
            if form == "torchscript":
                torch.jit.trace(module, images).save(str(path))
            else:
                _write_onnx(module, images, path)
        beside.write_text(json.dumps(about, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    return beside


def _write_onnx(module: nn.Module, images: torch.Tensor, path: Path) -> None:
    """Write a module as ONNX, for any number of images."""
    try:
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError:
        raise UserError(f"format = 'onnx' needs two packages; {install_extra('onnx')}") from None
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):  # what they say of constants helps nobody
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.onnx.export(
        module,
        (images,),
        str(path),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: torch.export.Dim("number", min=1)}},
        external_data=False,
        verbose=False,
    )
