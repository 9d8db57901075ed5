"""Addresses of buckets, and the mark that a folder carries which is copied to one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from raysim.core.errors import UserError
from raysim.storage.files import first_line

SCHEMES = ("s3", "gs", "abfs", "abfss", "file")
MARK = "copy.json"


def address_of(out: str | Path) -> str:
    """Return the address in a bucket that the user gave; empty where it is a folder.

    Args:
        out: What the user gave; a `Path` has lost a slash of an address.

    Raises:
        UserError: It is an address that is not supported.
    """
    match = re.match(r"([a-z][a-z0-9+]+):/+(.*)", str(out))
    if not match:
        return ""
    if match[1] not in SCHEMES or not match[2]:
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UserError(f"--out {out}: it should be a folder, or an address of {allowed}")
    root = "/" if match[1] == "file" else ""
    return f"{match[1]}://{root}{match[2]}".rstrip("/")


def local_name(address: str) -> str:
    """Return the name of the folder in `results/` that is copied to an address."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", address.split("?")[0]).strip("-.")


class Mark(NamedTuple):
    """The contents of `copy.json`: the address, its writer's host and token, and the token before."""

    address: str
    host: str
    writer: str
    before: str | None


def mark_of(folder: Path) -> Mark | None:
    """Return the mark of a folder that is copied to an address; None where it is not.

    Raises:
        UserError: It is damaged.
    """
    try:
        return Mark(**json.loads((folder / MARK).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError) as error:
        raise UserError(
            f"{folder / MARK}: is damaged ({first_line(error)}); remove it to copy no more"
        ) from None


def copied_to(folder: Path) -> str:
    """Return the address to which a folder is copied; empty where it is not."""
    mark = mark_of(folder)
    return mark.address if mark else ""
