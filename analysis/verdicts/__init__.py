"""Every difference and every accuracy of a report, judged once: the tables `verdicts` and `estimates`.

`samples` reads what a configuration measured on each seed, `differences` and `recipes` list what is compared,
`tables` judges it family by family and writes it. `docs/tables.md` has the columns.
"""

from .tables import verdict_tables

__all__ = ["verdict_tables"]
