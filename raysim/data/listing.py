"""The files of a dataset's folder: those that are images, and what was left out, by reason and number."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysim.core.errors import UserError
from raysim.data.unreadable import explain_os_error, is_utf8, shown

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".jp2", ".j2k"})
# of Windows, macOS, Linux and network storage
SYSTEM_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "lost+found", "#recycle"})
SYSTEM_NAMES |= {"$recycle.bin", "system volume information", "@eadir"}
MOST_LOOKED_AT = 200_000  # entries below the class folders that are looked at, so that `--path /` ends
MOST_PLACES = 6  # places that a sentence names
DEEPER = "images in deeper folders"
OUTSIDE = "images beside the class folders"
OTHER = "files without the ending of an image"
HIDDEN = "hidden or system files and folders"
DANGLING = "links that lead nowhere"
NO_FILES = "entries that are no files"
EMPTY = "folders without an image"
UNLISTED = "folders that cannot be listed"
SINGULAR = {
    DEEPER: "image in a deeper folder",
    OUTSIDE: "image beside the class folders",
    OTHER: "file without the ending of an image",
    HIDDEN: "hidden or system file or folder",
    DANGLING: "link that leads nowhere",
    NO_FILES: "entry that is no file",
    EMPTY: "folder without an image",
    UNLISTED: "folder that cannot be listed",
}


@dataclass
class LeftOut:
    """What was not taken from a folder.

    Attributes:
        places: Reason -> place (a folder, a file, or an ending) -> how many.
    """

    places: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str, number: int = 1) -> None:
        """Count something that was left out."""
        self.places.setdefault(reason, Counter())[shown(place)] += number

    def take_back(self, reason: str, place: str) -> None:
        """Count one less of what was left out, for a file that is used after all."""
        self.places[reason] -= Counter({place: 1})
        if not self.places[reason]:
            del self.places[reason]

    def merge(self, other: LeftOut) -> None:
        """Add what another one counts."""
        for reason, places in other.places.items():
            self.places.setdefault(reason, Counter()).update(places)

    def __bool__(self) -> bool:
        """Whether anything was left out."""
        return bool(self.places)

    @property
    def sentence(self) -> str:
        """What was left out, in one line; empty for nothing."""
        return "; ".join(_clause(reason, places) for reason, places in self.places.items())

    def json(self) -> list[dict[str, Any]]:
        """Return what was left out as plain data: reason, number, and the places with most of it."""
        return [
            {"reason": reason, "number": sum(places.values()), "places": _named(places)}
            for reason, places in self.places.items()
        ]


def _clause(reason: str, places: Counter[str]) -> str:
    number = sum(places.values())
    words = SINGULAR[reason] if number == 1 else reason
    return f"{number:,} {words} ({', '.join(_named(places))})"


def _named(places: Counter[str]) -> list[str]:
    """Name the places with most, and the number of the others."""
    most = [f"{place} {count:,}" if count > 1 else place for place, count in places.most_common(MOST_PLACES)]
    rest = len(places) - len(most)
    return [*most, f"and {rest:,} other places"] if rest > 0 else most


def scan_classes(root: Path) -> tuple[dict[str, list[str]], LeftOut]:
    """Return the sorted names of the images of each class folder, and what was left out beside them.

    Args:
        root: Folder of the class folders; a link to one counts as one.

    Raises:
        UserError: The folder cannot be listed, or the name of a class folder is no UTF-8 text.
    """
    left_out, listing, budget = LeftOut(), {}, [MOST_LOOKED_AT]
    folders = []
    for entry in entries(root):
        if is_hidden(entry.name):
            left_out.add(HIDDEN, entry.name)
        elif is_folder(entry):
            folders.append(entry.name)
        else:
            count_file(entry, entry.name, left_out, OUTSIDE)
    for folder in folders:
        names = scan_folder(root / folder, folder, left_out, budget)
        if names:
            if not is_utf8(folder):
                raise UserError(
                    f"{shown(root / folder)}: the name of this class folder is no UTF-8 text, and a class "
                    "needs a name; rename the folder"
                )
            listing[folder] = names
    return listing, left_out


def scan_folder(folder: Path, name: str, left_out: LeftOut, budget: list[int]) -> list[str]:
    """Return the sorted names of the images of one folder, and count what is not taken.

    Args:
        folder: The folder.
        name: Its name, for the record of what was left out.
        left_out: The record.
        budget: How many entries of deeper folders may still be looked at; one number.
    """
    try:
        found = list(entries(folder))
    except UserError:
        left_out.add(UNLISTED, name)
        return []
    names = []
    for entry in found:
        place = f"{name}/{entry.name}"
        if is_image(entry):
            names.append(entry.name)
        elif is_hidden(entry.name):
            left_out.add(HIDDEN, place if is_folder(entry) else name)
        elif is_folder(entry):
            deeper = _count_deeper(Path(entry.path), budget)
            left_out.add(DEEPER if deeper else EMPTY, place, deeper or 1)
        else:
            count_file(entry, place, left_out, "")
    if not names and not any(place.startswith(f"{name}/") for place in left_out.places.get(DEEPER, ())):
        left_out.add(EMPTY, name)
    return sorted(names)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name.

    Raises:
        UserError: It cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        reason, advice = explain_os_error(error)
        raise UserError(f"the folder {shown(folder)} cannot be listed: {reason}; {advice}") from error


def is_hidden(name: str) -> bool:
    """Return whether a name is one of a hidden or system file or folder."""
    return name.startswith((".", "__")) or name.lower() in SYSTEM_NAMES


def is_image(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a file with the ending of an image, and not hidden."""
    return (
        not entry.name.startswith(".")
        and os.path.splitext(entry.name)[1].lower() in EXTENSIONS
        and is_file(entry)
    )


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a file, or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a folder, or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def count_file(entry: os.DirEntry[str], place: str, left_out: LeftOut, image_reason: str) -> None:
    """Count an entry that is neither a folder nor taken."""
    ending = os.path.splitext(entry.name)[1].lower()
    if entry.is_symlink() and not os.path.exists(entry.path):
        left_out.add(DANGLING, place)
    elif not is_file(entry):
        left_out.add(NO_FILES, place)
    elif image_reason and ending in EXTENSIONS:
        left_out.add(image_reason, place)
    else:
        left_out.add(OTHER, ending or "no ending")


def _count_deeper(folder: Path, budget: list[int]) -> int:
    """Return the number of images in a folder and below it; links to folders are not followed."""
    images = 0
    for entry in _walk(folder, budget):
        images += is_image(entry)
    return images


def _walk(folder: Path, budget: list[int]) -> Iterator[os.DirEntry[str]]:
    """Yield the files in a folder and below it, as long as the budget lasts."""
    waiting = [folder]
    while waiting and budget[0] > 0:
        try:
            found = entries(waiting.pop())
        except UserError:
            continue
        for entry in found:
            budget[0] -= 1
            if entry.is_dir(follow_symlinks=False):
                if not is_hidden(entry.name):
                    waiting.append(Path(entry.path))
            else:
                yield entry
