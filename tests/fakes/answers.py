"""A sweep's folder with its two derived tables written out: invented verdicts of every kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.read.columns import TABLES
from tests.fakes import sensitivity as fake_sensitivity

Row = dict[str, Any]
SCENARIOS = ("even", "dirichlet alpha=0.1", "domain per client")
LEVELS: dict[str, tuple[Any, list[Any]]] = {
    "method.lam": (0.02, [0.005, 0.1]),
    "method.w_ot": (1.0, [0.0, 2.0]),
    "method.ot_b": ("label_hist", ["uniform", "kl"]),
    "method.w_dpa": (1.0, [0.0, 2.0]),
    "method.s": (30.0, [5.0, 100.0]),
    "method.dpa_form": ("softmax", ["cosine", "token"]),
    "method.dpa_detach_shared": (False, [True]),
    "method.h_p": (4, [0, 16]),
    "method.h": (4, [16]),
    "method.fusion": ("concat", ["mix"]),
    "method.private_init": ("satellite image seen from", ["random"]),
    "training.epochs": (1, [5]),
    "training.lr": (0.05, [0.01, 0.2]),
}
FINITE = ("ahead", "behind", "negligible", "level", "no effect", "undecided")


def verdict(kind: str = "choice", word: str = "undecided", estimate: float = 0.0, **columns: Any) -> Row:
    """A row of the table of verdicts; its intervals fit its verdict."""
    half = {"undecided": 0.03 + abs(estimate), "no effect": 0.0, "level": 0.004, "negligible": 0.002}.get(
        word, 0.01
    )
    finite = word in FINITE
    ends = (
        {
            end: estimate + sign * part * half
            for end, sign, part in (
                ("low", -1, 0.7),
                ("high", 1, 0.7),
                ("low_both", -1, 0.9),
                ("high_both", 1, 0.9),
                ("adjusted_low", -1, 1),
                ("adjusted_high", 1, 1),
            )
        }
        if finite
        else {}
    )
    row = {
        "space": "m", "scenario": "even", "family": f"{kind} of m", "kind": kind, "subject": "method.lam",
        "level": "0.1", "a": "method.lam=0.1", "b": "anchor", "metric": "acc_personal_own",
        "split": "test" if kind in ("rival", "floor", "tuning", "transfer") else "validation",
        "seeds": [0, 1, 2] if word != "missing" else [], "seeds_planned": 3,
        "diverged_a": 3 if word == "diverges" else 0, "diverged_b": 0, "pruned": 0,
        "missing": 3 if word == "missing" else 0, "estimate": estimate if finite else None, **ends,
        "family_size": 66, "p": 0.01, "worst_case": None, "verdict": word,
        "reason": {"diverges": "diverged on 3 of 3 seeds", "missing": "never ran"}.get(word, "the "
        "interval says so"),
        "seeds_needed": 9 if word == "undecided" else None, "trial_a": 1, "trial_b": 0,
    }  # fmt: skip
    return row | columns


def accuracy(mean: float, **columns: Any) -> Row:
    """A row of the table of estimates."""
    ends = {"low": mean - 0.01, "high": mean + 0.01, "low_both": mean - 0.02, "high_both": mean + 0.02}
    row = {
        "space": "m", "study": "m | even", "scenario": "even", "method": "m", "kind": "confirm",
        "label": "m (best of 4 trials)", "trial": 0, "metric": "acc_personal_own", "split": "test",
        "seeds": [0, 1, 2], "seeds_planned": 3, "lost": 0, "values": [mean] * 3, "mean": mean, "se": 0.005,
        "df": 9.0, **ends, "se_both": 0.01, "clients_measured": 16.0, "clients_evaluated": 16.0,
    }  # fmt: skip
    return row | columns


def choices(words: dict[tuple[str, str], Sequence[tuple[str, float]]], rest: str = "undecided") -> list[Row]:
    """Rows of every level of every choice: `words` gives (verdict, estimate) by scenario; others are "
    "`rest`."""
    rng = np.random.default_rng(0)
    rows = []
    for path, (_, levels) in LEVELS.items():
        for level in map(str, levels):
            for scenario, (word, estimate) in zip(
                SCENARIOS,
                words.get((path, level), [(rest, float(rng.normal(0, 0.005))) for _ in SCENARIOS]),
                strict=True,
            ):
                about = {"scenario": scenario, "subject": path, "level": level}
                rows.append(verdict("choice", word, estimate, **about, a=f"{path}={level}"))
    return rows


WORDS = {
    ("training.lr", "0.2"): [("diverges", 0.0), ("behind", -0.152), ("behind", -0.081)],
    ("training.lr", "0.01"): [("behind", -0.041), ("undecided", -0.01), ("behind", -0.03)],
    ("method.lam", "0.1"): [("ahead", 0.034), ("ahead", 0.028), ("undecided", 0.012)],
    ("method.h", "16"): [("ahead", 0.021), ("undecided", 0.01), ("negligible", 0.006)],
    ("method.fusion", "mix"): [("level", 0.001), ("level", -0.002), ("level", 0.0)],
    ("method.dpa_detach_shared", "True"): [("no effect", 0.0)] * 3,
}


def every_kind() -> list[Row]:
    """Verdicts of every kind and with every word."""
    rows = choices(WORDS)
    rivals = ("promptfl", "local", "fedotp", "fedpgp", "promptfl_ft")
    for i, scenario in enumerate(SCENARIOS):
        place = {"scenario": scenario, "a": "m (best of 4 trials)"}
        for j, rival in enumerate(rivals):
            word, size = [("ahead", 0.05), ("undecided", 0.01), ("behind", -0.03), ("level", 0.0)][
                (i + j) % 4
            ]
            about = {
                "subject": place["a"],
                "level": f"{rival} (untuned)",
                "b": f"{rival} (untuned)",
                "strongest": j == i,
            }
            rows.append(verdict("rival", word, size, **place, **about))
            for path, level in [
                ("", ""),
                *((path, str(v)) for path, (_, levels) in LEVELS.items() for v in levels),
            ]:
                lead = ("ahead", 0.04) if i == 0 and level != "0.2" else (word, size)
                about = {"subject": path, "level": level, "b": rival, "scenario": scenario}
                rows.append(verdict("lead", *lead, **about))
        for floor, size in (("most frequent class", (0.3, -0.22, -0.1)[i]), ("zero-shot", 0.1)):
            about = {"subject": place["a"], "level": floor, "b": floor}
            rows.append(verdict("floor", "ahead" if size > 0 else "behind", size, **place, **about))
        about = {"subject": place["a"], "level": "m (untuned)", "b": "m (untuned)"}
        rows.append(
            verdict("tuning", ["ahead", "undecided", "level"][i], [0.03, 0.01, 0.0][i], **place, **about)
        )
        pair = ("pair", ["behind", "undecided", "level"][i], [-0.04, 0.01, 0.0][i])
        rows.append(verdict(*pair, scenario=scenario,
                            subject="method.lam & method.h", level="0.1 & 16", b="both effects added",
                            a="method.lam=0.1 & method.h=16"))  # fmt: skip
    rows.append(verdict("transfer", "ahead", 0.03, a="m (best of 4 trials)", b="m tuned on domain per client",
                        subject="m", level="domain per client"))  # fmt: skip
    return rows


def estimates() -> list[Row]:
    """Accuracies of the confirmed configurations and the floors under every scenario."""
    rows = []
    for i, scenario in enumerate(SCENARIOS):
        place = {"scenario": scenario, "study": f"m | {scenario}"}
        for split, gain in (("validation", 0.01), ("test", 0.0)):
            rows.append(accuracy(0.781 - 0.1 * i + gain, **place, split=split, trial=i + 1))
            rows.append(accuracy(0.741 - 0.1 * i + gain, **place, split=split, trial=i + 5,
                                 label="local (untuned)", method="local"))  # fmt: skip
            for label, mean in (("most frequent class", 0.2 + 0.28 * i), ("zero-shot", 0.616)):
                rows.append(accuracy(mean, **place, split=split, kind="floor", label=label, trial=i + 1))
    return rows


def write(folder: Path, verdicts: Sequence[Row] = (), accuracies: Sequence[Row] = (), **meta: Any) -> Path:
    """The folder of a sweep of the space `m` with these rows in its two derived tables."""
    experiment = {"seed": 0, "rounds": 4, "task": {"dataset": "scenes"}, "method": {"name": "m", "lam": 0.02}}
    sheet = fake_sensitivity.Sheet()
    for scenario in SCENARIOS:
        place = {"scenario": {"name": scenario.split()[0], "clients": 16}}
        sheet.add(scenario, "contrast", "anchor", 0.6, experiment=json.dumps(experiment | place))
    declared = [
        {"path": path, "symbol": path.rpartition(".")[2], "levels": [str(v) for v in levels],
         "anchor": anchor, "basis": "guess", "doc": "what it is",
         "source": "the code of a relative", "search": ""}
        for path, (anchor, levels) in LEVELS.items()
    ]  # fmt: skip
    described = {
        "factors": declared,
        "scenarios": [{"label": s} for s in SCENARIOS],
        "title": "What decides?",
    }
    fake_sensitivity.write(folder, sheet, **(described | meta))
    for name, rows in (("verdicts", verdicts), ("estimates", accuracies)):
        kinds = {"VARCHAR": pa.string(), "INTEGER": pa.int32(), "DOUBLE": pa.float64(),
                 "BIGINT[]": pa.list_(pa.int64()),
                 "DOUBLE[]": pa.list_(pa.float64()), "BOOLEAN": pa.bool_()}  # fmt: skip
        schema = pa.schema([(column, kinds[kind]) for column, kind in TABLES[name].items()])
        numbered = [{**row, "number": i} for i, row in enumerate(rows)]
        path = folder / "tables" / name / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(numbered, schema=schema), path)
    return folder
