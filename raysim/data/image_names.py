"""Names of images as people write them in tables, and as the files of a dataset are called.

Shapes: F files of a dataset.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

ENDING = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{1,4}$")
COMPARED = 5000  # names that are compared for a similar one


def comparable_path(name: str) -> str:
    """Return a path with slashes, in one form of Unicode, and without a leading `./`."""
    path = unicodedata.normalize("NFC", name).replace("\\", "/")
    while "//" in path:
        path = path.replace("//", "/")
    while path.startswith("./"):
        path = path[2:]
    return path


def is_word_character(character: str) -> bool:
    """Return whether this is a letter, a digit, or a mark on a letter, of any script."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


class ImageNames:
    """The images of a dataset by the names that people may write for them.

    A name fits an image whose path in the dataset's folder it is, or ends, or with which it ends (a path from
    the root of a disk). Where there is none, the name fits paths that are equal but for the ending of the
    file, such as `.tif`.

    Args:
        paths: Name of each image (`raysim.data.dataset.Dataset.paths`). F
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = [comparable_path(path) for path in paths]
        self._whole, self._stems = _Endings(self.paths), _Endings([stem_of(path) for path in self.paths])

    def find(self, name: str) -> list[int]:
        """Return the places in `paths` of the images that a name fits; it should be one."""
        return self._whole.find(name) or self._stems.find(name) or self._stems.find(stem_of(name))

    def similar(self, name: str) -> str:
        """Return the path of the image whose file has the most similar name; empty where none is similar."""
        names = {path.rpartition("/")[2]: path for path in self.paths}
        near = difflib.get_close_matches(name.rpartition("/")[2], list(names)[:COMPARED], n=1)
        return names[near[0]] if near else ""


class _Endings:
    """Paths by all their endings: `a/b/c`, `b/c`, `c`."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.whole: dict[str, list[int]] = {}
        self.endings: dict[str, list[int]] = {}
        for place, path in enumerate(paths):
            self.whole.setdefault(path, []).append(place)
            for ending in _endings(path):
                self.endings.setdefault(ending, []).append(place)

    def find(self, name: str) -> list[int]:
        """Return the places of the path that is this name, that ends with it, or with which it ends."""
        if name in self.whole:
            return self.whole[name]
        if name in self.endings:
            return self.endings[name]
        return next((self.whole[ending] for ending in _endings(name) if ending in self.whole), [])


def _endings(path: str) -> Iterator[str]:
    """Yield a path and its endings, the longest first."""
    while path:
        yield path
        _, _, path = path.partition("/")


def stem_of(path: str) -> str:
    """Return a path without the ending of its file; `.5m` is none."""
    return ENDING.sub("", path)


def natural_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of people: `client_2` before `client_10`."""
    return sorted(
        names,
        key=lambda name: (
            [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)],
            name,
        ),
    )
