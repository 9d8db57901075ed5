"""Cost of ACE's gate at inference: milliseconds per image and FLOPs of a network with and without it.

    python -m benchmarks.ace_latency [--network resnet18 --image-size 224 --device cpu --threads 1 --json
    latency.json]

It runs on an edge board too: it needs a checkout, torch, torchvision and pydantic, but no data and no trained
weights (time does not depend on their values). Both networks have the same backbone weights and take turns on
the same images. Their order changes from repeat to repeat, so a clock rate that falls with the temperature of
the board affects both alike. Power is reported as not measured: that needs a meter on the supply.

FLOPs are those of `raysim.nn.flops`: matrix products, convolutions and attention, two per multiply-add. Sums,
norms and the noise-free decision are not counted. The projections of the contexts to keys and values are part
of every call here; a deployed network could store them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from raysim.nn.convnets import NETWORKS
from raysim.nn.flops import count_flops
from raysim.nn.gate import GateConfig
from raysim.nn.networks import Network, initial_weights

NOT_MEASURED = "not measured"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Latency and FLOPs of a network with and without ACE's gate."
    )
    parser.add_argument("--network", choices=NETWORKS, default="resnet18")
    parser.add_argument("--kind", choices=("classification", "segmentation"), default="classification")
    parser.add_argument("--image-size", type=int, default=224, help="side of the square images, px")
    parser.add_argument("--classes", type=int, default=45, help="classes of the head")
    parser.add_argument("--clients", type=int, default=10, help="contexts that the gate attends to")
    parser.add_argument("--width", type=int, default=16, help="first stage of the small networks, channels")
    parser.add_argument("--d", type=int, default=128, help="width of the gate's attention")
    parser.add_argument("--mlp-ratio", type=float, default=1.0, help="hidden width of the gate's MLP over d")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], help="images per call")
    parser.add_argument(
        "--repeats", type=int, default=50, help="timed calls of each network, after --warm-up untimed ones"
    )
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="torch threads on the CPU")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps ...")
    parser.add_argument("--json", type=Path, help="where to write the result")
    options = parser.parse_args(arguments)
    if min(options.repeats, options.warm_up, options.threads, options.clients, *options.batches) < 1:
        parser.error("--repeats, --warm-up, --threads, --clients and --batches should be at least 1")
    return options


def pair(options: argparse.Namespace) -> dict[str, Network]:
    """Build both networks with initial weights. The backbone is drawn first, so it is the same in both."""
    sizes = {"kind": options.kind, "width": options.width}
    networks = {
        "plain": Network(options.network, options.classes, **sizes),
        "gated": Network(
            options.network,
            options.classes,
            **sizes,
            gate=GateConfig(d=options.d, mlp_ratio=options.mlp_ratio),
        ),
    }
    for network in networks.values():
        values = initial_weights(network, torch.Generator().manual_seed(0))
        for name, tensor in network.state_dict().items():
            tensor.copy_(values[name])
    return {name: network.to(options.device).eval() for name, network in networks.items()}


def synchronise(device: str) -> None:
    """Wait until an accelerator has finished its work; the CPU needs no wait."""
    if device != "cpu":
        torch.accelerator.synchronize(torch.device(device))


def seconds(call: Callable[[], object], device: str) -> float:
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start


def interleaved(
    calls: dict[str, Callable[[], object]], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Seconds of every repeat: each repeat times both networks, in alternating order."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(-options.warm_up, options.repeats):
        for name in sorted(calls, reverse=bool(repeat % 2)):
            taken = seconds(calls[name], options.device)
            if repeat >= 0:
                times[name].append(taken)
    return times


def quartiles(values: list[float]) -> dict[str, float]:
    """Median and quartiles; a single value is all three."""
    low, middle, high = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    )
    return {"q1": low, "median": middle, "q3": high}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure time and FLOPs at every batch size, and count parameters."""
    torch.set_num_threads(options.threads)
    networks = pair(options)
    rng = torch.Generator().manual_seed(1)
    context = torch.randn(options.clients, GateConfig().d_e, generator=rng).to(options.device)
    result: dict[str, Any] = {"batches": []}
    for batch in options.batches:
        images = torch.randn(batch, 3, options.image_size, options.image_size, generator=rng).to(
            options.device
        )

        def call(name: str, images: torch.Tensor = images) -> Callable[[], object]:
            return lambda: networks[name](images, context)

        calls = {name: call(name) for name in networks}
        with torch.inference_mode():
            times = interleaved(calls, options)
            counts = {name: count_flops(calls[name]) // batch for name in calls}
        paired = list(zip(times["plain"], times["gated"], strict=True))
        result["batches"].append(
            {
                "images": batch,
                "ms_per_image": {name: quartiles([1e3 * t / batch for t in times[name]]) for name in times},
                "extra_ms_per_image": quartiles([1e3 * (gated - plain) / batch for plain, gated in paired]),
                "extra_time_percent": quartiles([100 * (gated / plain - 1) for plain, gated in paired]),
                "flops_per_image": counts,
                "extra_flops_percent": 100 * (counts["gated"] / counts["plain"] - 1),
            }
        )
    result["parameters"] = {
        name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()
    }
    return {
        **result,
        "power_watts": NOT_MEASURED,
        "energy_per_image_joules": NOT_MEASURED,
        "setting": setting(options),
    }


def setting(options: argparse.Namespace) -> dict[str, Any]:
    """Options, hardware and versions of the run."""
    asked = {key: value for key, value in vars(options).items() if key != "json"}
    return {
        **asked,
        "hardware": hardware(options.device),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def hardware(device: str) -> str:
    """Name of the accelerator, or of the board or processor where the system knows it."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    board, processor = Path("/proc/device-tree/model"), Path("/proc/cpuinfo")
    if board.exists():
        return board.read_text().strip("\0 \n")
    lines = processor.read_text().splitlines() if processor.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    asked = result["setting"]
    lines = [
        f"{asked['network']}, {asked['kind']}, {asked['image_size']} px, {asked['classes']} classes, "
        f"{asked['clients']} contexts; "
        f"{asked['hardware']} ({asked['device']}), {asked['threads']} thread(s), torch {asked['torch']}",
        f"median [quartiles] of {asked['repeats']} interleaved calls",
        f"{'batch':>5}  {'plain, ms per image':>26}  {'gated, ms per image':>26}  {'extra time, %':>24}  "
        f"{'GFLOP plain':>11}  {'extra, %':>8}",
    ]

    def cell(values: dict[str, float], digits: int) -> str:
        return f"{values['median']:.{digits}f} [{values['q1']:.{digits}f}, {values['q3']:.{digits}f}]"

    for row in result["batches"]:
        times = row["ms_per_image"]
        lines.append(
            f"{row['images']:5}  {cell(times['plain'], 3):>26}  {cell(times['gated'], 3):>26}  "
            f"{cell(row['extra_time_percent'], 1):>24}  "
            f"{row['flops_per_image']['plain'] / 1e9:11.4f}  {row['extra_flops_percent']:8.2f}"
        )
    lines.append(f"power: {result['power_watts']}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    result = measure(options)
    print(table(result), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
