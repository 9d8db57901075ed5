"""`python -m raysim`, the same as the command `raysim`."""

from __future__ import annotations

import sys

from raysim.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
