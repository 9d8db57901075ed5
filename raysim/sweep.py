"""`python -m raysim.sweep`, the same as `raysim sweep`.

Without arguments it is a good first run: the open choices of FedRSCLIP on the bundled scenes, with a report.
`import raysim.sweep` puts this module where the function `raysim.sweep` stands, so it can be called like it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Door(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from raysim.api.sweep import sweep

        return sweep(*arguments, **options)


sys.modules[__name__].__class__ = _Door

if __name__ == "__main__":
    from raysim.cli.main import main

    sys.exit(main(["sweep", *sys.argv[1:]]))
