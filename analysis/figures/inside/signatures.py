"""Failure signatures: what went wrong inside the runs, in which share of them, and by which measurement."""

from __future__ import annotations

from ...read.queries import parts
from ...read.results import Results, Row, finished_trials

SIGNATURE_NAMES = {
    "semantic_drift": "semantic drift",
    "ot_not_converged": "OT did not converge",
    "private_unused": "private prompt unused",
    "cr_inverse": "CR favours frequent classes",
    "cr_erratic": "CR erratic",
    "d_cka_zero": "D_CKA stuck at 0",
    "d_cka_one": "D_CKA stuck at 1",
    "mask_empty": "masks all zero",
    "mask_full": "masks all one",
}


TRIAL_KINDS = ("confirm", "contrast", "rival", "search")


CONFIGURATION = """CASE kind WHEN 'confirm' THEN label WHEN 'rival' THEN label || ' (rival)'
       WHEN 'search' THEN split_part(study, ' | ', 1) || ', search' ELSE method || ' ' || label END"""


RUNS = f"""WITH runs AS (
  SELECT DISTINCT kind, method, {CONFIGURATION} AS configuration, scenario, unnest(runs) AS run,
    unnest(seeds) AS seed
  FROM {parts("trials")} WHERE state = 'COMPLETE')"""


def words(name: str) -> str:
    """Return a signature's name in words."""
    return SIGNATURE_NAMES.get(name, name.replace("_", " "))


def fired(results: Results) -> list[Row]:
    """Return the rows of the signatures table; of a run that was finished twice, the last row counts."""
    rows = results.table("signatures").to_pylist()
    return list({(row.get("run"), row["name"]): row for row in rows}.values())


def configuration(trial: Row) -> str:
    """Return the name under which the runs of a trial are counted; the trials of one search share a name."""
    kind, label = trial["kind"], str(trial["label"])
    names = {
        "confirm": label,
        "rival": f"{label} (rival)",
        "search": f"{str(trial['study']).split(' | ')[0]}, search",
    }
    return names.get(kind) or f"{trial['method']} {label}"


def _counted_trials(results: Results) -> list[Row]:
    """Return the finished trials, confirmed ones first."""
    return sorted(
        finished_trials(results.trials, *TRIAL_KINDS), key=lambda trial: TRIAL_KINDS.index(trial["kind"])
    )


def table_signatures(results: Results) -> list[Row]:
    """Return every signature that fired in a finished trial.

    Returns:
        Rows with kind, method, configuration, scenario, seed, run, name, round, value, limit and detail; a
        run of several configurations has a row under each.
    """
    run_rows: dict[str, list[Row]] = {}
    for row in fired(results):
        run_rows.setdefault(str(row.get("run")), []).append(row)
    rows = {}
    for trial in _counted_trials(results):
        place = {key: trial[key] for key in ("kind", "method", "scenario")}
        place["configuration"] = name = configuration(trial)
        for run, seed in zip(trial.get("runs") or [], trial.get("seeds") or [], strict=False):
            for row in run_rows.get(run, []):
                rows[(name, trial["scenario"], run, row["name"])] = {**row, **place, "seed": seed}
    return list(rows.values())


def watched(results: Results) -> tuple[set[str], dict[str, str]]:
    """Return the methods that declare signatures, and the meaning of each signature."""
    run_of = {trial["method"]: trial["runs"][0] for trial in _counted_trials(results) if trial.get("runs")}
    declared = {
        method: results.run_meta(run).get("signatures_watched") or {} for method, run in run_of.items()
    }
    meanings = {name: meaning for signatures in declared.values() for name, meaning in signatures.items()}
    return {method for method, signatures in declared.items() if signatures}, meanings


def shares(results: Results) -> list[Row]:
    """Return in which share of a configuration's runs each signature fired.

    Returns:
        Rows with configuration, kind, scenario, name (None where none fired), fired, runs and share: of every
        configuration in which one fired, and of the confirmed ones of methods that declare any.
    """
    groups: dict[tuple[str, str], Row] = {}
    for trial in _counted_trials(results):
        key = (configuration(trial), trial["scenario"])
        group = {"kind": trial["kind"], "method": trial["method"], "runs": set(), "fired": {}}
        groups.setdefault(key, group)["runs"] |= set(trial.get("runs") or [])
    for row in table_signatures(results):
        runs_by_name = groups[(row["configuration"], row["scenario"])]["fired"]
        runs_by_name.setdefault(row["name"], set()).add(row["run"])
    methods, _ = watched(results)
    with_signature = {name for (name, _), group in groups.items() if group["fired"]}
    rows = []
    for (name, scenario), group in groups.items():
        declares = group["kind"] == "confirm" and group["method"] in methods
        if name not in with_signature and not declares:
            continue
        hits: list[tuple[str | None, set[str]]] = sorted(group["fired"].items()) or [(None, set())]
        number = len(group["runs"])
        for signature, runs in hits:
            place = {"configuration": name, "kind": group["kind"], "scenario": scenario, "name": signature}
            rows.append({**place, "fired": len(runs), "runs": number, "share": len(runs) / number})
    return rows
