"""Columns of the tables of a result folder, with their types in DuckDB; a table may have more of them.

Every column here can be named in a query, also where a folder lacks it or the whole table: it is empty there.
"""

from __future__ import annotations

ACCURACIES = ("acc_shared_own", "acc_shared_global", "acc_personal_own", "acc_personal_global")
FLOORS = ("acc_majority_own", "acc_majority_global", "acc_zeroshot_own", "acc_zeroshot_global")
GROUPS = tuple(
    f"acc_{scope}_{group}"
    for scope in ("shared", "personal")
    for group in ("class_mean", "head", "medium", "tail")
)
NEWCOMERS = tuple(f"acc_{scope}_newcomers" for scope in ("shared", "personal", "majority", "zeroshot"))
SPECIAL = (*NEWCOMERS, "acc_base", "acc_novel", "acc_harmonic")
COUNTS = ("clients_measured", "clients_evaluated")
MEASURED = (*ACCURACIES, "worst_client_accuracy", "p10_client_accuracy", *FLOORS, *SPECIAL, *COUNTS)
# what methods report about a round, where they do
OBSERVED = (
    *("private_effect", "loss", "flops", "flops_server", "seconds", "d_cka", "mu", "beta", "cr_spearman"),
    *("mask_ratio", "mask_empty", "mask_full", "ot_iterations", "ot_marginal_error", "ot_unconverged"),
)
TRAFFIC = ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down")


def _columns(kind: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, kind)


COMMON = {"run": "VARCHAR", "round": "INTEGER", "split": "VARCHAR"}
CLASS = {"label": "SMALLINT", "class_name": "VARCHAR"}
# What identifies one number of a study; in the tables of verdicts and of estimates.
INTERVAL = _columns("DOUBLE", "se", "df", "low", "high", "se_both", "low_both", "high_both")
TRIALS = {
    **_columns("VARCHAR", "key", "study", "scenario", "method", "kind", "label"),
    **_columns("INTEGER", "trial", "number"),
    **_columns("VARCHAR", "factor", "level", "factor2", "level2", "space", "params", "experiment"),
    "point": "INTEGER",
    "unit": "DOUBLE[]",
    "runs": "VARCHAR[]",
    "seeds": "BIGINT[]",
    "outcomes": "VARCHAR[]",
    **_columns("VARCHAR", "tuning", "violated", "state", "reason", "curve"),
    **_columns("INTEGER", "rounds", "patches"),
    **_columns("DOUBLE", "objective", "flops", "flops_server", "finished"),
    **_columns("DOUBLE", "seconds", "startup_seconds", "wall_seconds"),
    **_columns("BIGINT", "shared_parameters", "bytes_setup", *TRAFFIC),
    **_columns("DOUBLE[]", *MEASURED, *(f"test_{name}" for name in MEASURED)),
}
TABLES: dict[str, dict[str, str]] = {
    "trials": TRIALS,
    "superseded": TRIALS,
    "rounds": {
        **COMMON, **_columns("BIGINT", *TRAFFIC), **_columns("DOUBLE", *MEASURED, *GROUPS, *OBSERVED),
        **_columns("INTEGER", "clients", *COUNTS),
    },
    "clients": {
        **COMMON, **_columns("INTEGER", "client", "examples"), "reason": "VARCHAR",
        **_columns("DOUBLE", *ACCURACIES, "loss", "d_cka"),
    },
    "classes": {
        **COMMON, **CLASS, "domain": "SMALLINT", **_columns("VARCHAR", "domain_name", "scope"),
        **_columns("DOUBLE", "correct", "total"),
    },
    "ratios": {**COMMON, **CLASS, "images": "BIGINT", "cr": "DOUBLE"},
    "masks": {
        **COMMON, "image": "INTEGER", **CLASS,
        **_columns("DOUBLE", "iou", "iou_untrained", "iou_random", "open"),
    },
    "signatures": {**COMMON, **_columns("VARCHAR", "name", "detail"), **_columns("DOUBLE", "value", "limit")},
    "images": {
        **COMMON, "seed": "BIGINT", **_columns("VARCHAR", "scope", "images"), "cell": "INTEGER[]",
        **_columns("FLOAT[]", "own", "global"),
    },
    "verdicts": {
        "number": "INTEGER",
        **_columns("VARCHAR", "space", "scenario", "family", "kind", "subject", "level", "a", "b", "metric"),
        "split": "VARCHAR",
        "seeds": "BIGINT[]",
        **_columns("INTEGER", "seeds_planned", "diverged_a", "diverged_b", "pruned", "missing"),
        **_columns("DOUBLE", "mean_a", "mean_b", "estimate"),
        **INTERVAL,
        **_columns("DOUBLE", "adjusted_low", "adjusted_high"),
        "family_size": "INTEGER",
        **_columns("DOUBLE", "p", "worst_case"),
        **_columns("VARCHAR", "verdict", "reason"),
        "strongest": "BOOLEAN",
        **_columns("INTEGER", "seeds_needed", "trial_a", "trial_b"),
    },
    "estimates": {
        "number": "INTEGER",
        **_columns("VARCHAR", "space", "study", "scenario", "method", "kind", "label"),
        "trial": "INTEGER",
        **_columns("VARCHAR", "metric", "split"),
        "seeds": "BIGINT[]",
        **_columns("INTEGER", "seeds_planned", "lost"),
        "values": "DOUBLE[]",
        "mean": "DOUBLE",
        **INTERVAL,
        "no_noise": "BOOLEAN",
        **_columns("DOUBLE", *COUNTS),
    },
}  # fmt: skip
# Tables that are made of files which are no parts of a table, with their columns.
PARTITION = {"run": "VARCHAR", "client": "INTEGER", "label": "INTEGER", "domain": "INTEGER"}
RUNS = {
    **_columns("VARCHAR", "run", "id", "status", "metric", "label", "scenario_label"),
    **_columns("VARCHAR[]", "class_names", "domain_names", "client_names", "signatures"),
    **_columns("JSON", "signatures_watched", "experiment", "result", "test"),
}
