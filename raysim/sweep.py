"""A sweep: Ray Tune runs the trials of a plan, each a federation on warm client actors; results are files.

`python -m raysim.sweep` alone is a good first run. Tune's and Optuna's own state is disposable: the truth is
one Parquet row per finished trial and one folder per run, so a sweep killed at any moment goes on where it
was.
"""

from __future__ import annotations

if __name__ == "__main__":
    import sys

    from raysim.cli.main import main

    sys.exit(main(["sweep", *sys.argv[1:]]))
