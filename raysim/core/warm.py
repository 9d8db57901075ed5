"""Caches that a process keeps from one experiment to the next: every cache has a name, a size and one owner.

A cache saves time and changes no number, so clearing all of them is always safe.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from threading import RLock
from typing import Any, TypeVar, cast

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Cache:
    """Values by key; the least recently used one is dropped first."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = RLock()

    def __len__(self) -> int:
        """Number of kept values."""
        return len(self._values)

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of a key, computed where it is not kept. Two threads may both compute it."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                value: T = self._values[key]
                return value
        value = compute()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self.maxsize:
                self._values.popitem(last=False)
        return value

    def values(self) -> list[Any]:
        """Return the values that are kept."""
        with self._lock:
            return list(self._values.values())

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()


CACHES: dict[str, Cache] = {}  # of this process, by name


def cache(name: str, maxsize: int) -> Cache:
    """Make the cache of this name.

    Args:
        name: Name of the cache, unique in the program.
        maxsize: Most values that are kept.

    Raises:
        ValueError: There is a cache of this name already.
    """
    if name in CACHES:
        raise ValueError(f"warm.cache('{name}'): there is a cache of this name already")
    CACHES[name] = Cache(maxsize)
    return CACHES[name]


def kept(name: str, maxsize: int, key: Callable[..., Hashable] | None = None) -> Callable[[F], F]:
    """Keep the results of a function warm in this process.

    Args:
        name: Name of the cache, unique in the program.
        maxsize: Most results that are kept.
        key: What decides the result, from the arguments; by default all of them.
    """
    results = cache(name, maxsize)

    def decorate(function: F) -> F:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            address = key(*args, **kwargs) if key else (args, tuple(sorted(kwargs.items())))
            return results.get(address, lambda: function(*args, **kwargs))

        return cast(F, wrapper)

    return decorate


def sizes() -> dict[str, int]:
    """Return the number of values in each cache of this process, by name."""
    return {name: len(values) for name, values in sorted(CACHES.items())}


def clear() -> None:
    """Empty every cache of this process."""
    for values in CACHES.values():
        values.clear()
