"""Registries: names of methods, scenarios, data sets and others, and what stands behind each name.

A registry holds what comes with raysim, what installed packages offer (entry points of the group
`raysim.methods` and likewise), and what plug-in files add. They are all used in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from raysim.core import plugins, warm
from raysim.core.config import Config, unknown_name
from raysim.core.errors import UserError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Name -> thing. What comes with raysim may be given as `module:attribute`, imported when it is used.

    Attributes:
        kind: What the things are, in words, for messages: "method".
        group: Group of the entry points by which an installed package adds to it: "raysim.methods".
    """

    def __init__(
        self, kind: str, built_in: Mapping[str, T | str], check: Callable[[str, object], None] | None = None
    ) -> None:
        """Make a registry.

        Args:
            kind: What the things are.
            built_in: What comes with raysim.
            check: Raises UserError for a thing that is no thing of this kind; it gets the name and the thing.
        """
        self.kind, self.group = kind, f"raysim.{kind.replace(' ', '_')}s"
        self._check = check
        plugins.forgetting.append(self._forget)
        self._things: dict[str, T | str | EntryPoint] = dict(built_in)
        self._claims: dict[str, EntryPoint] = {}  # names of ours that an installed package takes too
        self._scanned = False

    def add(self, thing: T, name: str | None = None) -> T:
        """Add a thing; usable as the decorator of a class that has a `name`.

        Args:
            thing: The thing.
            name: Its name; None: its attribute `name`.

        Returns:
            The thing.

        Raises:
            UserError: It has no name, the name belongs to something else already (also to another thing of
                the same plug-in file), or it is no thing of this kind.
        """
        word = name or getattr(thing, "name", None)
        if not isinstance(word, str) or not word.replace("_", "").replace("-", "").isalnum():
            raise UserError(
                f"{self.kind} {thing!r}: its name is {word!r}; it should be a word of letters, digits, _ and "
                "-, as a class attribute `name`"
            )
        if self._check is not None:
            self._check(word, thing)
        self._refuse_taken(word, thing)
        if self._things.get(word, thing) is not thing:
            warm.clear()  # what stays warm is kept by name
        self._things[word] = thing
        plugins.registered_from(_module_of(thing))
        return thing

    def __getitem__(self, name: str) -> T:
        """Return the thing of a name.

        Raises:
            KeyError: There is none.
            UserError: It cannot be loaded, or two packages have it.
        """
        self._scan()
        thing = self._things[name]
        if name in self._claims:
            raise UserError(
                f"{self.kind} '{name}': {_owner(self._claims[name])} offers this name too, and it belongs to "
                f"{plugins.place_of(_module_of(thing))}; remove one of the two, or rename its entry point"
            )
        if isinstance(thing, str):
            module, _, attribute = thing.partition(":")
            thing = getattr(import_module(module), attribute)
            self._things[name] = thing
        elif isinstance(thing, EntryPoint):
            thing = self._loaded(name, thing)
            self._things[name] = thing
        return thing

    def __iter__(self) -> Iterator[str]:
        """Iterate over all names, those of installed packages included."""
        self._scan()
        return iter(list(self._things))

    def __len__(self) -> int:
        """Number of names."""
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        """Whether there is a thing of this name."""
        self._scan()
        return name in self._things

    def get_or_refuse(self, name: object, what: str | None = None) -> T:
        """Return the thing of a name.

        Args:
            name: The name.
            what: What the name is, for the message; None: the kind of thing.

        Raises:
            UserError: There is none; the message names the known ones.
        """
        if not isinstance(name, str) or name not in self:
            error = unknown_name(what or self.kind, str(name), list(self))
            raise UserError(f"{error}. One of your own: --plugin FILE.py")
        return self[name]

    def usable(self) -> dict[str, T]:
        """Return all things that can be loaded."""
        things: dict[str, T] = {}
        for name in self:
            try:
                things[name] = self[name]
            except UserError:  # a broken package: named where its thing is asked for
                continue
        return things

    def module(self, name: str) -> str:
        """Return the module that the thing of a name is defined in; nothing is imported for it."""
        return _module_of(self._things[name])

    def _forget(self, module: str) -> None:
        """Drop what a module registered."""
        gone = [name for name, thing in self._things.items() if _module_of(thing) == module]
        for name in gone:
            del self._things[name]
        if gone:
            warm.clear()  # what stays warm is kept by name

    def _scan(self) -> None:
        """Look up, once, what installed packages offer."""
        if self._scanned:
            return
        self._scanned = True
        for point in entry_points(group=self.group):
            known = self._things.setdefault(point.name, point)
            if not isinstance(known, EntryPoint) or known != point:  # one package may be found twice
                self._claims[point.name] = point

    def _loaded(self, name: str, point: EntryPoint) -> T:
        """Import what a package offers under a name."""
        owner = _owner(point)
        try:
            thing: T = point.load()
        except Exception as error:
            raise UserError(
                f"{self.kind} '{name}' of {owner}: {point.value} cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from None
        if getattr(thing, "name", name) != name:
            raise UserError(
                f"{self.kind} '{name}' of {owner}: its attribute name is {getattr(thing, 'name', None)!r}; "
                "the entry point and the attribute should be the same word"
            )
        if self._check is not None:
            self._check(name, thing)
        plugins.packages[point.module.partition(".")[0]] = owner
        return thing

    def _refuse_taken(self, name: str, thing: T) -> None:
        """Raise UserError where a name belongs to something of another place, or of the same plug-in file."""
        self._scan()
        old = self._things.get(name, thing)
        if old is thing:
            return
        module = _module_of(thing)
        here, there = plugins.place_of(module), plugins.place_of(_module_of(old))
        if here != there:
            raise UserError(
                f"{self.kind} '{name}' of {here}: this name belongs to {there}; choose another name"
            )
        if plugins.file_of(module) is not None:  # an earlier text of the file is forgotten before this one
            raise UserError(
                f"{self.kind} '{name}' of {here}: it is added twice, by this file or a copy of it; keep one"
            )


def _owner(point: EntryPoint) -> str:
    """Return name and version of the package of an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an installed package"


def class_check(base: type[Config]) -> Callable[[str, object], None]:
    """Return the check of a registry of classes: a subclass of `base` that can be made without arguments."""

    def check(name: str, thing: object) -> None:
        if not (isinstance(thing, type) and issubclass(thing, base)):
            raise UserError(f"'{name}' is {thing!r}; it should be a subclass of raysim.{base.__name__}")
        missing = sorted(getattr(thing, "__abstractmethods__", ()))
        if missing:
            raise UserError(f"class {thing.__name__} ('{name}') lacks {', '.join(missing)}")
        without = [field for field, info in thing.model_fields.items() if info.is_required()]
        if without:
            raise UserError(
                f"class {thing.__name__} ('{name}'): {', '.join(without)} without a default; every field "
                "needs one, for example with raysim.knob"
            )

    return check


def _module_of(thing: object) -> str:
    """Return the name of the module that a thing is defined in."""
    if isinstance(thing, str):
        return thing.partition(":")[0]
    if isinstance(thing, EntryPoint):
        return thing.module
    return plugins.module_of(thing)
