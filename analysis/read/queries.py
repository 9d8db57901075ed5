"""Queries in SQL (DuckDB) that give the numbers of a report; they run in the result folder."""

from __future__ import annotations


def parts(name: str) -> str:
    """Return the SQL that reads all Parquet parts of a table."""
    return f"read_parquet('tables/{name}/*.parquet', union_by_name = true)"


# Validation accuracy of the contrasts and of the rivals beside them, a row per trial and seed.
_SEEDS = f"""WITH seeds AS (
  SELECT study, scenario, kind, factor, level, label, unnest(seeds) AS seed,
    unnest(acc_personal_own) AS accuracy
  FROM {parts("trials")}
  WHERE kind IN ('contrast', 'rival') AND state = 'COMPLETE')"""

_DIFFERENCES = """SELECT c.scenario, c.factor, c.level, avg(c.accuracy - a.accuracy) AS mean,
  stddev_samp(c.accuracy - a.accuracy) AS sd, count(*) AS seeds
FROM seeds c JOIN seeds a ON a.study = c.study AND a.seed = c.seed AND a.label = 'anchor'
WHERE c.kind = 'contrast' AND c.factor IS NOT NULL
GROUP BY ALL"""

CONTRASTS = f"""{_SEEDS}
{_DIFFERENCES} ORDER BY ALL"""

SEARCH = f"""SELECT study, trial, label, kind, state, objective,
       max(objective) FILTER (state = 'COMPLETE') OVER (PARTITION BY study ORDER BY trial) AS best
FROM {parts("trials")}
WHERE kind IN ('contrast', 'search')
ORDER BY study, trial"""

OPTIMISM = rf"""WITH done AS (
  FROM {parts("trials")} WHERE state = 'COMPLETE'
  QUALIFY kind <> 'confirm'
    OR row_number() OVER (PARTITION BY study, kind, label ORDER BY finished DESC) = 1),
chosen AS (
  SELECT c.trial, c.scenario, regexp_replace(c.label, ' \(tuned\)$', '') AS entry,
         arg_max(s.label, s.objective) AS chosen, arg_max(s.acc_personal_own, s.objective) AS search
  FROM done c JOIN done s ON s.params = c.params AND s.study IN (  -- a tuned rival has a study of its own
    c.study, replace(c.study, ' | ', ' ' || regexp_replace(c.label, ' \(tuned\)$', '') || ' | '))
  WHERE c.kind = 'confirm' AND ends_with(c.label, ' (tuned)') AND s.kind IN ('contrast', 'search')
  GROUP BY ALL)
SELECT c.scenario, entry, chosen, list_avg(search) AS search, list_stddev_samp(search) AS sd_search,
       len(search) AS search_seeds, list_avg(acc_personal_own) AS validation,
       list_stddev_samp(acc_personal_own) AS sd_validation, list_avg(test_acc_personal_own) AS test,
       list_stddev_samp(test_acc_personal_own) AS sd_test, len(seeds) AS seeds
FROM chosen c JOIN done USING (trial)
ORDER BY ALL"""

TRIALS = f"""SELECT trial, scenario, kind, label, state, reason, list_avg(acc_personal_own) AS validation,
       list_stddev_samp(acc_personal_own) AS sd_validation, list_avg(test_acc_personal_own) AS test,
       list_stddev_samp(test_acc_personal_own) AS sd_test, len(seeds) AS seeds, rounds, seconds, params
FROM {parts("trials")}
ORDER BY trial"""

COUNTS = f"""SELECT kind, state, count(*) AS trials
FROM {parts("trials")}
GROUP BY ALL ORDER BY ALL"""

SCENARIOS = """SELECT s.label, s.values, unnest(s.heterogeneity.achieved)
FROM (SELECT unnest(scenarios) AS s FROM read_json('run.json'))"""
FACTORS = f"""{_SEEDS}, differences AS ({_DIFFERENCES}), best AS (
  FROM differences QUALIFY row_number() OVER (PARTITION BY scenario, factor ORDER BY mean DESC) = 1
), factors AS (SELECT unnest(factors, recursive := true) FROM read_json('run.json'))
SELECT f.*, b.scenario, if(b.mean > 0, b.level, 'anchor') AS best, b.mean, b.sd, b.seeds
FROM factors f LEFT JOIN best b ON b.factor = f.path ORDER BY path, scenario"""
