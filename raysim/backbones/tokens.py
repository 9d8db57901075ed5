"""Tokenizer of CLIP: open_clip's own, without the rest of open_clip, whose import takes two seconds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

MODULE = "raysim.backbones._open_clip_tokenizer"  # under a name of its own, so that open_clip is left alone


def tokenizer(context_length: int) -> Any:
    """Return an `open_clip.tokenizer.SimpleTokenizer`.

    Args:
        context_length: Length L of a tokenised text.
    """
    if MODULE not in sys.modules:
        package = importlib.util.find_spec("open_clip")
        assert package is not None and package.submodule_search_locations
        file = Path(package.submodule_search_locations[0]) / "tokenizer.py"
        spec = importlib.util.spec_from_file_location(MODULE, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[MODULE] = module
    return sys.modules[MODULE].SimpleTokenizer(context_length=context_length)
