"""`python -m raysim.data.scenes --sheet out.png`: look at the bundled scenes."""

from __future__ import annotations

import argparse

from PIL import Image

from raysim.data.scenes import contact_sheet
from raysim.data.scenes.domains import DOMAINS


def main() -> None:
    """Write a contact sheet as PNG."""
    parser = argparse.ArgumentParser(prog="python -m raysim.data.scenes", description=__doc__)
    parser.add_argument(
        "--sheet", required=True, help="the PNG to write: a class a row, the domains from left to right"
    )
    parser.add_argument("--columns", type=int, default=12, help="scenes of each class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=int, default=1, help="enlargement")
    parser.add_argument("--domain", choices=list(DOMAINS), help="this domain only")
    parser.add_argument("--masks", action="store_true", help="the foregrounds instead of the images")
    given = parser.parse_args()
    sheet = contact_sheet(
        given.columns, given.seed, domain=given.domain, masks=given.masks, scale=given.scale
    )
    Image.fromarray(sheet).save(given.sheet)


if __name__ == "__main__":
    main()
