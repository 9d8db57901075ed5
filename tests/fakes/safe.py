"""Synthetic runs and recipes of SAFE: class ratios, D_CKA, groups, masks, traffic. Nothing was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from tests.fakes.recipe import NOISE, SEEDS, Recipe
from tests.fakes.results import fake_run
from tests.fakes.tables import CLASSES, write

Row = dict[str, Any]
ROUNDS, CLIENTS = 10, 6
IMAGES = [
    round(200 * 20 ** (-c / (len(CLASSES) - 1))) for c in range(len(CLASSES))
]  # a long tail: 200 down to 10
GROUPS = ("head", "medium", "tail")
# Bytes: of the model, of what comes down beside it, once per client.
WEIGHTS, FEATURES, SETUP = 40_000, 3_000, 90_000


def beta(number: int) -> float:
    """The cosine schedule."""
    return 0.5 * (1 - float(np.cos(np.pi * number / ROUNDS)))


def ratio_rows(run: str, seed: int, strength: float = 0.5) -> list[Row]:
    """Class ratios that turn towards rare classes; which class is rare depends on the seed."""
    rng, order = np.random.default_rng(seed), np.random.default_rng(seed + 1).permutation(len(CLASSES))
    images = np.array(IMAGES)[order]
    rows = []
    for number in range(ROUNDS + 1):
        raw = (images.mean() / images) ** (strength * number / ROUNDS) * np.exp(
            rng.normal(0, 0.12 * (number > 0), len(images))
        )
        cr = raw / raw.mean()
        rows += [
            {
                "run": run,
                "round": number,
                "split": "validation",
                "label": label,
                "class_name": name,
                "cr": float(cr[label]),
                "images": int(images[label]),
            }
            for label, name in enumerate(CLASSES)
        ]
    return rows


def spearman(rows: list[Row], number: int) -> float | None:
    """The rank correlation of CR with 1/n_c after a round; none while all CR are equal."""
    own = [r for r in rows if r["round"] == number]
    cr, rarity = (np.array([r[k] for r in own], float) for k in ("cr", "images"))
    if np.ptp(cr) < 1e-9:
        return None
    ranks = [np.argsort(np.argsort(v)) for v in (cr, -rarity)]
    return float(np.corrcoef(*ranks)[0, 1])


def client_rows(run: str, seed: int, level: float = 0.35) -> list[Row]:
    """D_CKA of the clients that took part: all but one of them in each round."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(1, ROUNDS + 1):
        for client in (c for c in range(CLIENTS) if c != number % CLIENTS):
            d = float(np.clip(level * (1 + 0.15 * client) * (1 - 0.04 * number) + rng.normal(0, 0.01), 0, 1))
            rows.append(
                {
                    "run": run,
                    "round": number,
                    "split": "validation",
                    "client": client,
                    "examples": 20,
                    "loss": 0.8,
                    "d_cka": d,
                    "mu": d * beta(number),
                }
            )
    return rows


def inside(ratios: list[Row], clients: list[Row], number: int, value: float) -> Row:
    """The columns of the rounds table that SAFE adds, on validation or on test; groups around `value`."""
    own = [r for r in clients if r["round"] == number]
    row: Row = {"cr_spearman": spearman(ratios, number)}
    row |= {
        f"acc_{scope}_{g}": value + 0.02 * (scope == "personal") - 0.12 * i
        for scope in ("shared", "personal")
        for i, g in enumerate(GROUPS)
    }
    row |= {f"acc_{scope}_class_mean": value - 0.1 for scope in ("shared", "personal")}
    if not own:
        return row
    return row | {
        "d_cka": float(np.mean([r["d_cka"] for r in own])),
        "mu": float(np.mean([r["mu"] for r in own])),
        "beta": beta(number),
        "tau_g": 1 - 0.05 * number,
        "mask_ratio": 0.9 - 0.04 * number,
        "mask_empty": 0.002 * number,
        "mask_full": 0.3 / number,
        "loss_mask": 0.1,
        **traffic(),
    }


def traffic(extra: int = FEATURES) -> Row:
    """Bytes of a round of all clients but one; a tenth of what comes down beside the weights goes up."""
    many = CLIENTS - 1
    return {
        "bytes_up": many * (WEIGHTS + extra // 10),
        "bytes_down": many * (WEIGHTS + extra),
        "bytes_weights_up": many * WEIGHTS,
        "bytes_weights_down": many * WEIGHTS,
        "clients": many,
    }


def gallery(
    path: Path, run: str, seed: int, *, known: bool = True, many: int = 12, size: int = 64
) -> list[Row]:
    """Pictures with a bright disc, masks that find it; returns the rows of the masks table."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1)
    arrays: dict[str, list[np.ndarray]] = {
        n: [] for n in ("image", "foreground", "soft", "hard", "soft_untrained", "hard_untrained")
    }
    rows: list[Row] = []
    for k in range(many):
        centre, radius = rng.integers(size // 4, 3 * size // 4, 2), rng.integers(size // 6, size // 3)
        disc = ((grid - centre) ** 2).sum(-1) < radius**2
        texture = rng.integers(40, 110, (size // 4, size // 4, 3)).repeat(4, 0).repeat(4, 1)
        arrays["image"].append(
            np.where(disc[..., None], texture + np.array([110, 90, 20]), texture)
            .clip(0, 255)
            .astype(np.uint8)
        )
        coarse = disc.reshape(8, size // 8, 8, size // 8).mean((1, 3))
        trained = (0.8 * coarse + 0.1 + rng.normal(0, 0.08, coarse.shape)).clip(0, 1).astype(np.float32)
        before = (0.6 + rng.normal(0, 0.15, coarse.shape)).clip(0, 1).astype(np.float32)
        arrays["foreground"].append(disc.astype(np.uint8))
        for name, soft in (("", trained), ("_untrained", before)):
            arrays[f"soft{name}"].append(soft)
            arrays[f"hard{name}"].append((soft > 0.5).astype(np.uint8))
        shares = {
            "iou": 0.6 + 0.01 * (k % 5),
            "iou_untrained": 0.3037 + 0.02 * (k % 3),
            "iou_random": 0.2 + 0.01 * (k % 4),
        }
        rows.append(
            {
                "run": run,
                "round": ROUNDS,
                "split": "validation",
                "image": 7 * k,
                "label": k % len(CLASSES),
                "class_name": CLASSES[k % len(CLASSES)],
                "open": float((trained > 0.5).mean()),
                **({n: v + NOISE.get(seed, 0.0) * (n == "iou") for n, v in shares.items()} if known else {}),
            }
        )
    told = [{k: v for k, v in row.items() if k not in ("run", "round", "split")} for row in rows]
    kept = {name: np.stack(found) for name, found in arrays.items() if known or name != "foreground"}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, path, {"images": json.dumps(told)})
    return rows


def safe_run(folder: Path, *, known: bool = True, ended: bool = True, metric: str | None = None) -> Path:
    """A single run of SAFE; `known`: the foreground is; `metric`: what run.json says."""
    fake_run(folder, rounds=ROUNDS, clients=CLIENTS, status="done" if ended else "running")
    run = "0123456789ab"
    ratios, clients = ratio_rows(run, 3), client_rows(run, 3)
    for path in (folder / "tables" / "rounds").glob("*.parquet"):
        (row,) = pq.read_table(path).to_pylist()
        seen = inside(ratios, clients, row["round"], row["acc_shared_global"] or 0.0)
        seen = {
            k: v for k, v in seen.items() if row["acc_shared_global"] is not None or not k.startswith("acc_")
        }
        write(
            path,
            [
                {
                    **{k: v for k, v in row.items() if v is not None},
                    **{k: v for k, v in seen.items() if v is not None},
                }
            ],
        )
    write(folder / "tables" / "ratios" / "0.parquet", ratios)
    evaluated = {
        r["client"]: r for r in pq.read_table(folder / "tables" / "clients" / "0.parquet").to_pylist()
    }
    merged = [{**r, **(evaluated.get(r["client"], {}) if r["round"] == ROUNDS else {})} for r in clients]
    sitting = [
        r for c, r in evaluated.items() if not any(m["client"] == c and m["round"] == ROUNDS for m in merged)
    ]
    write(folder / "tables" / "clients" / "0.parquet", [*sitting, *merged])
    held = [
        {"client": i % CLIENTS, "image": 1000 * label + i, "label": label, "domain": 0}
        for label, n in enumerate(IMAGES)
        for i in range(n)
    ]
    write(folder / "partition.parquet", held)
    meta = json.loads((folder / "run.json").read_text())
    meta |= {"label": "safe", "metric": metric} if metric else {"label": "safe"}
    (folder / "run.json").write_text(json.dumps(meta))
    if ended:
        write(
            folder / "tables" / "masks" / "0.parquet",
            gallery(folder / "gallery.safetensors", run, 3, known=known),
        )
    return folder


def safe_recipe(
    folder: Path,
    figures: list[Row],
    *,
    known: bool = True,
    setup_in_trials: bool = True,
    groups: bool = True,
    seeds: Sequence[int] = SEEDS,
) -> Recipe:
    """SAFE, SAFE without CRO and FedAvg under two scenarios.

    SAFE gains 6 points on tail classes and loses 1 on head classes.
    """
    places = {f"imbalance {n}": {"scenario": {"name": "even", "imbalance": n}} for n in (10, 100)}
    grid = ["safe", "without CRO", "fedavg"]
    made = Recipe(folder, places, figures, grid, seeds)
    for scenario in places:
        for label, steps in (
            ("safe", (-0.01, 0.02, 0.06)),
            ("without CRO", (0.0, 0.0, 0.001)),
            ("fedavg", (0.0, 0.0, 0.0)),
        ):
            _entry(made, scenario, label, steps, known=known, setup=setup_in_trials, groups=groups)
    return made


def _entry(
    made: Recipe,
    scenario: str,
    label: str,
    steps: tuple[float, ...],
    *,
    known: bool,
    setup: bool,
    groups: bool,
) -> None:
    number, about = made.count, label != "fedavg"
    runs = {seed: f"r{number:03d}s{seed}" for seed in made.seeds}
    ratios = {
        seed: ratio_rows(run, seed, -0.3 if label == "without CRO" else 0.5) for seed, run in runs.items()
    }
    clients = {seed: client_rows(run, seed, 0.35 if label == "safe" else 0.1) for seed, run in runs.items()}

    def value(seed: int) -> float:
        return 0.7 + (label == "safe") * (0.03 + NOISE[seed])

    def rounds(seed: int) -> list[Row]:
        rows = []
        for n in range(ROUNDS + 1):
            seen = value(seed) - 0.02 * (ROUNDS - n) if n % 5 == 0 else None
            row: Row = {
                "round": n,
                "acc_personal_own": seen,
                "acc_shared_global": seen,
                "flops": 1e9,
                "seconds": 0.1,
                **(traffic() if about else traffic(0)),
                "split": "validation",
            }
            row |= dict.fromkeys(traffic(), 0) if n == 0 else {}
            if about:
                row |= {
                    k: v
                    for k, v in inside(ratios[seed], clients[seed], n, seen or 0.0).items()
                    if not k.startswith(("acc_", "bytes"))
                }
            if groups and seen is not None:
                row |= {f"acc_shared_{g}": seen - 0.1 * i for i, g in enumerate(GROUPS)}
            rows.append(row | {"clients": traffic()["clients"] if n else 0})
        tested = {
            f"acc_shared_{g}": 0.7 - 0.1 * i + step + (1 + len(label) % 3) * NOISE[seed]
            for i, (g, step) in enumerate(zip(GROUPS, steps, strict=True))
        }
        tested |= {
            "acc_shared_class_mean": sum(tested.values()) / 3,
            "acc_shared_global": value(seed) - 0.04,
            "acc_personal_own": value(seed),
        }
        return [*rows, {"round": ROUNDS, "split": "test", **(tested if groups else {})}]

    made.trial(
        label,
        scenario,
        value,
        method="fedavg" if label == "fedavg" else "safe",
        rounds=rounds,
        setup=(SETUP * CLIENTS if about else 0) if setup else None,
    )
    for seed, run in runs.items():
        home = made.folder / "runs" / run
        meta = json.loads((home / "run.json").read_text())
        (home / "run.json").write_text(
            json.dumps({**meta, "result": {"bytes_setup": SETUP * CLIENTS if about else 0}})
        )
        write(
            home / "partition.parquet",
            [
                {"client": i, "image": 10 * label + i, "label": label, "domain": 0}
                for label in range(len(CLASSES))
                for i in range(CLIENTS)
            ],
        )
        if about:
            write(made.folder / "tables" / "ratios" / f"{run}.parquet", ratios[seed])
            write(made.folder / "tables" / "clients" / f"{run}.parquet", clients[seed])
            masks = gallery(home / "gallery.safetensors", run, seed, known=known)
            write(made.folder / "tables" / "masks" / f"{run}.parquet", masks)
