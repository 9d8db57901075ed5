"""Images that cannot be read: each with its own reason, and with advice that follows from the reason."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

from raysim.core.errors import UserError

MOST_NAMED = 20  # unreadable images that one message names
FORMATS = {  # beginnings of files -> their format; these are read
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}
OTHER_CONTENT = {  # beginnings of files that are no images -> what they are, and what helps
    b"version https://git-lfs": ("is a pointer of Git LFS, not the image", "run `git lfs pull` there"),
    b"PK\x03\x04": ("is a ZIP archive", "unpack it"),
    b"Rar!": ("is a RAR archive", "unpack it"),
    b"7z\xbc\xaf": ("is a 7z archive", "unpack it"),
    b"\x1f\x8b": ("is a gzip archive", "unpack it"),
    b"%PDF": ("is a PDF document", "export the image from it"),
    b"\x89HDF": ("is an HDF5 file", "export its bands as a GeoTIFF"),
    b"CDF": ("is a NetCDF file", "export its bands as a GeoTIFF"),
    b"\x93NUMPY": ("is an array of NumPy", "save it as a GeoTIFF or PNG"),
    b"PAR1": ("is a Parquet table", "write its images as files"),
}
PHOTOGRAPHS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF"}  # by their kind
# line breaks, colours of a terminal, changes of direction
CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
READ_FORMATS = "JPEG, PNG, TIFF, WebP, GIF, BMP, JPEG 2000"
AGAIN = "copy or download it again"


class UnreadableImage(UserError):
    """One image that cannot be read.

    Attributes:
        line: File, reason and advice.
    """

    def __init__(self, file: Path, reason: str, advice: str) -> None:
        self.file, self.reason, self.advice = file, reason, advice
        self.line = f"{shown(file)}: {reason}; {advice}"
        super().__init__(f"cannot read the image {self.line}")

    def __reduce__(self) -> tuple[type, tuple[Path, str, str]]:
        """Return what an error between processes is built from."""
        return type(self), (self.file, self.reason, self.advice)


def all_unreadable(name: str, lines: Sequence[str], images: int) -> UserError:
    """Return the error that names all unreadable images of a dataset: the first ones and their number.

    Args:
        name: Name of the dataset.
        lines: A line for each unreadable image.
        images: Number of all images.
    """
    if len(lines) == 1:
        return UserError(f"{name}: 1 of {images:,} images cannot be read: {lines[0]}")
    more = f"\n  and {len(lines) - MOST_NAMED:,} more" if len(lines) > MOST_NAMED else ""
    named = "".join(f"\n  {line}" for line in lines[:MOST_NAMED])
    return UserError(f"{name}: {len(lines):,} of {images:,} images cannot be read:{named}{more}")


def shown(file: Path | str) -> str:
    """Return a path as text that can be printed: bytes that are no UTF-8 and control characters as codes."""
    text = os.fsencode(str(file)).decode("utf-8", "backslashreplace")
    return CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def is_utf8(name: str) -> bool:
    """Return whether the bytes of a name are UTF-8 text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def explain_os_error(error: OSError) -> tuple[str, str]:
    """Return the reason why a file cannot be opened or read, and what helps."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied", "give yourself the right to read it (chmod u+r)"
    if error.errno == errno.ENOENT:
        return "no such file, or a link that leads nowhere", "restore it, or remove the link"
    if error.errno == errno.ELOOP:
        return "a link that leads to itself", "remove the link"
    if error.errno in (errno.EIO, errno.ESTALE):
        return f"the disk or network reports an error ({error.strerror})", "try again, and check the disk"
    return str(error.strerror or error), "see that it is a file that you may read"


def explain_content(content: bytes, error: BaseException | None = None) -> tuple[str, str]:
    """Return the reason why bytes cannot be decoded as an image, and what helps.

    Args:
        content: The whole file.
        error: What the decoder raised.
    """
    if isinstance(error, MemoryError):
        return "does not fit into memory", "cut it into tiles"
    if not content:
        return "is empty (0 bytes)", AGAIN
    start = content[:512]
    for magic, explanation in OTHER_CONTENT.items():
        if start.startswith(magic):
            return explanation
    if start[4:8] == b"ftyp" and start[8:12] in PHOTOGRAPHS:
        return f"is a photograph in {PHOTOGRAPHS[start[8:12]]}", "convert it to PNG or JPEG"
    if b"/annex/objects/" in start:
        return "is a pointer of git-annex, not the image", "run `git annex get` there"
    if re.match(rb"\s*(<!doctype html|<html|<\?xml|<svg)", start, re.IGNORECASE):
        kind = "SVG drawing" if b"<svg" in start.lower() else "web page or XML text"
        return f"is a {kind}, not an image", "a download that failed? " + AGAIN
    if not content.strip(b"\0"):
        return f"is {len(content):,} bytes of zeros", AGAIN
    name = next((name for magic, name in FORMATS.items() if start.startswith(magic)), "")
    name = "WebP" if start[:4] == b"RIFF" and start[8:12] == b"WEBP" else name
    if name:
        cause = " ".join(str(error or "").split())[:120]
        cause = "its header cannot be read" if cause.startswith("cannot identify") else cause
        return f"is a damaged or truncated {name} file ({cause or 'cannot be decoded'})", AGAIN
    if all(byte >= 9 for byte in start) and is_text(start):
        return "is a text file, not an image", AGAIN
    return f"is of no format that is read ({READ_FORMATS})", "convert it, or remove it"


def is_text(start: bytes) -> bool:
    """Return whether bytes look like text."""
    return all(byte in (9, 10, 13) or byte >= 32 for byte in start) and is_decodable(start)


def is_decodable(start: bytes) -> bool:
    """Return whether bytes are UTF-8, but for a character that is cut at their end."""
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4
    return True
