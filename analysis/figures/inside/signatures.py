"""Failure signatures: what went wrong inside the runs, in which share of them, and by which measurement."""

from __future__ import annotations

from ...read.results import Results, Row

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
# Finished runs by configuration; the trials of one search are counted together.
COUNTED = """counted AS (
  SELECT DISTINCT kind, list_position(['confirm', 'contrast', 'rival', 'search'], kind) AS place, method,
    scenario, CASE kind WHEN 'confirm' THEN label WHEN 'rival' THEN label || ' (rival)'
      WHEN 'search' THEN split_part(study, ' | ', 1) || ', search'
      ELSE method || ' ' || label END AS configuration, unnest(runs) AS run, unnest(seeds) AS seed
  FROM trials WHERE kind IN ('confirm', 'contrast', 'rival', 'search') AND state = 'COMPLETE'
)"""
FIRED_ONCE = """fired AS (
  FROM signatures QUALIFY row_number() OVER (PARTITION BY run, name ORDER BY round DESC) = 1
)"""
SHARES = f"""WITH {COUNTED}, {FIRED_ONCE}, total AS (
  SELECT place, kind, method, configuration, scenario, count(DISTINCT run) AS runs FROM counted GROUP BY ALL
), hits AS (
  SELECT configuration, scenario, name, count(DISTINCT run) AS fired FROM counted JOIN fired USING (run)
  GROUP BY ALL
), watching AS (
  SELECT DISTINCT method FROM counted JOIN runs USING (run) WHERE len(json_keys(signatures_watched)) > 0
)
SELECT kind, configuration, scenario, name, coalesce(fired, 0) AS fired, runs,
  coalesce(fired, 0) / runs AS share
FROM total LEFT JOIN hits USING (configuration, scenario)
WHERE configuration IN (SELECT configuration FROM hits)
  OR (kind = 'confirm' AND method IN (SELECT method FROM watching))
ORDER BY place, configuration, scenario, name"""
FIRED = f"""WITH {COUNTED}, {FIRED_ONCE}
SELECT scenario, configuration, seed, name, round, value, "limit", detail
FROM counted JOIN fired USING (run) ORDER BY place, configuration, scenario, seed, name"""
FIRED_OF_RUN = f"""WITH {FIRED_ONCE} SELECT name, round, value, "limit", detail FROM fired ORDER BY ALL"""
# What the methods of the finished runs watch, each its own.
WATCHED = f"""WITH {COUNTED}
SELECT method, any_value(signatures_watched) AS meanings, count(DISTINCT run) AS runs
FROM counted JOIN runs USING (run) WHERE len(json_keys(signatures_watched)) > 0
GROUP BY method ORDER BY method"""
WATCHED_OF_RUN = """SELECT signatures_watched AS meanings, 1 AS runs
FROM runs WHERE status = 'done' AND len(json_keys(signatures_watched)) > 0"""


def words(name: str) -> str:
    """Return a signature's name in words."""
    return SIGNATURE_NAMES.get(name, name.replace("_", " "))


def shares(results: Results) -> list[Row]:
    """Return in which share of a configuration's finished runs each signature fired.

    Returns:
        Rows with kind, configuration, scenario, name (None where none fired), fired, runs and share: of every
        configuration in which one fired, and of the confirmed ones of methods that watch any.
    """
    return results.sql(SHARES)
