"""Frozen CLIP models: the bundled one, open_clip's, repositories of Hugging Face, and local weight files.

`registry` opens a backbone by its name. `weights` builds open_clip's models and fills them: `weight_files`
reads a file or says what it is instead, `layouts` gives every tensor its place, `hub` knows repositories and
the layout of transformers, `published` the remote-sensing CLIPs. All return a `backbone`, whose `tokens`
makes numbers of texts. `zeroshot` measures whether all of it fits. `bundled` loads the model that comes with
raysim, `pretrain` made it and `evaluate` measures it. The room imports core, nn and data only.
"""

import warnings

# tqdm, which open_clip imports, asks every notebook for a package that nothing here needs
warnings.filterwarnings("ignore", message="IProgress not found")
