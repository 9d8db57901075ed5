"""`python -m raysim.sweep`, the same as `raysim sweep`.

Without arguments it is a good first run: the open choices of FedRSCLIP on the bundled scenes, with a report.
"""

from __future__ import annotations

if __name__ == "__main__":
    import sys

    from raysim.cli.main import main

    sys.exit(main(["sweep", *sys.argv[1:]]))
