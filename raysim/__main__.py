"""`raysim run | sweep | report | data | plan | doctor`, the same as `python -m raysim`.

Exit status: 0 done, 2 a user's mistake, 1 a failure, 130 interrupted.
"""

from __future__ import annotations

import sys

from raysim.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
