"""Frozen CLIP models: the bundled one, open_clip's, and local weight files.

`registry` opens a backbone by its name; `weights` builds and fills open_clip's models; `bundled` loads the
model that comes with raysim, `pretrain` made it and `evaluate` measures it. It imports core, nn and data
only.
"""
