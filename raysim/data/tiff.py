"""The directories of a TIFF file: what its tags say, read without decoding a pixel.

Pillow sets up a whole page to tell how many there are, which fails for an internal mask; it reads garbage
where a tile was never written; and it turns an image by its orientation tag, as it does for no other format.

Source: TIFF 6.0 (Adobe, 1992), section 2; BigTIFF (AWare Systems); sparse files (GDAL, driver GTiff).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SUBFILE, COMPRESSION, PHOTOMETRIC, ORIENTATION, STRIPS, TILES = 254, 259, 262, 274, 273, 324  # tags
REDUCED, MASK = 1, 4  # bits of SUBFILE
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}  # types of values: BYTE, SHORT, LONG, IFD, LONG8
BEYOND_PILLOW = {50001: "WebP", 50002: "JPEG XL"}  # compressions that its builds lack
MOST_PAGES = 1000


@dataclass(frozen=True)
class Page:
    """A directory of a TIFF file.

    Attributes:
        part: Whether it is an overview or a mask of another page.
        mask: Whether it is a mask.
        white_is_zero: Whether small values of gray are bright.
        orientation: As in EXIF; 1 = as stored.
        orientation_at: Place of that value in the file; None where the tag is missing.
        sparse: Whether strips or tiles were never written.
        compression: Name of a compression that Pillow does not read; empty for others.
    """

    part: bool
    mask: bool
    white_is_zero: bool
    orientation: int
    orientation_at: int | None
    sparse: bool
    compression: str


def is_tiff(content: bytes) -> bool:
    """Return whether the bytes begin as a TIFF or BigTIFF does."""
    return content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def pages(content: bytes) -> list[Page]:
    """Return the directories of a TIFF file; those before the first damaged one; none of another file."""
    if not is_tiff(content):
        return []
    order, big = "<" if content[:2] == b"II" else ">", b"+" in content[2:4]
    found: list[Page] = []
    seen: set[int] = set()
    try:
        at = _number(content, order + ("Q" if big else "I"), 8 if big else 4)
        while at and at not in seen and len(found) < MOST_PAGES:
            seen.add(at)
            page, at = _page(content, at, order, big)
            found.append(page)
    except struct.error:
        pass  # a damaged file: the decoder says so
    return found


def unturned(content: bytes) -> bytes:
    """Return a file without its orientation where it is a TIFF: Pillow would turn the image by it."""
    first = next(iter(pages(content)), None)
    if first is None or first.orientation == 1 or first.orientation_at is None:
        return content
    at, one = first.orientation_at, (1).to_bytes(2, "little" if content[:2] == b"II" else "big")
    return content[:at] + one + content[at + 2 :]


def _number(content: bytes, form: str, at: int) -> int:
    value: int = struct.unpack_from(form, content, at)[0]
    return value


def _page(content: bytes, at: int, order: str, big: bool) -> tuple[Page, int]:
    """Return the directory at a place, and the place of the next one; 0 for none."""
    counter, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    number = _number(content, order + counter, at)
    start = at + struct.calcsize(order + counter)
    values: dict[int, tuple[int, ...]] = {}
    places: dict[int, int] = {}
    wanted = (SUBFILE, COMPRESSION, PHOTOMETRIC, ORIENTATION, STRIPS, TILES)
    for place in range(start, start + number * entry, entry):
        tag, kind = struct.unpack_from(order + "HH", content, place)
        if tag in wanted and kind in INTEGERS:
            count = _number(content, order + pointer, place + 4)
            inline = place + 4 + struct.calcsize(order + pointer)
            form = f"{order}{count}{INTEGERS[kind]}"
            fits = struct.calcsize(form) <= struct.calcsize(order + pointer)
            places[tag] = inline if fits else _number(content, order + pointer, inline)
            values[tag] = struct.unpack_from(form, content, places[tag])
    first = {tag: found[0] for tag, found in values.items() if found}
    orientation = first.get(ORIENTATION, 1)
    page = Page(
        part=bool(first.get(SUBFILE, 0) & (REDUCED | MASK)),
        mask=bool(first.get(SUBFILE, 0) & MASK),
        white_is_zero=first.get(PHOTOMETRIC) == 0,
        orientation=orientation if 1 <= orientation <= 8 else 1,
        orientation_at=places.get(ORIENTATION),
        sparse=0 in values.get(STRIPS, ()) or 0 in values.get(TILES, ()),
        compression=BEYOND_PILLOW.get(first.get(COMPRESSION, 1), ""),
    )
    return page, _number(content, order + pointer, start + number * entry)
