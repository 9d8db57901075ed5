"""Published remote-sensing CLIPs, and the zero-shot accuracies that were published for CLIPs.

Everything here was taken from public documentation in November 2026: the checksums are those of the files'
pages on Hugging Face. Every one of them takes CLIP's own preprocessing (bicubic, CLIP's mean and deviation).

Cannot be used, because their text tower is another one: Git-RSCLIP (SigLIP), LRSCLIP and DGTRS-CLIP and the
ViT-B-16 of FarSLIP (Long-CLIP's positions), RS-M-CLIP (a multilingual text tower).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from raysim.backbones.hub import hub_file
from raysim.backbones.weight_files import file_digest, short
from raysim.backbones.weights import Source
from raysim.core.errors import UserError

OPENAI = "trained on from OpenAI's weights"
SKYSCRIPT = "https://opendatasharing.s3.us-west-2.amazonaws.com/SkyScript/ckpt"


@dataclass(frozen=True)
class Published:
    """A published weight file of a remote-sensing CLIP.

    Args:
        architecture: Name in open_clip, without `-quickgelu`.
        quick_gelu: Whether it was trained with QuickGELU.
        why: How the activation is known.
        licence: As its publisher states it.
        repo: Repository on Hugging Face; empty where it is elsewhere.
        file: Its path in the repository.
        sha256: Its checksum, empty where its page was not found.
        page: Address of the download where it is not on Hugging Face.
    """

    architecture: str
    quick_gelu: bool
    why: str
    licence: str
    repo: str = ""
    file: str = ""
    sha256: str = ""
    page: str = ""

    @property
    def source(self) -> Source:
        """What loading needs to know."""
        where = self.page or f"https://huggingface.co/{self.repo} ({self.file})"
        return Source(self.architecture, self.quick_gelu, where=where)


_REMOTE = "chendelong/RemoteCLIP"
_REMOTE_WHY = f"{OPENAI}; its own example loads it with plain GELU, as task.backbone=ARCH does"
_GEO, _GEO_LICENCE = "Zilun/GeoRSCLIP", "CC-BY-4.0"
_FAR_WHY = "its README tests it with --force-quick-gelu"
_SKY_WHY = "its notebook forces QuickGELU for ViT-L-14 (from OpenAI's weights) and not for ViT-B-32 (LAION's)"

PUBLISHED = {
    "RemoteCLIP-RN50": Published(
        "RN50", True, _REMOTE_WHY, "Apache-2.0", _REMOTE, "RemoteCLIP-RN50.pt",
        "11657d33a87fc197e19a7654a76a632415ebea42feb8a61025ef389f8990c0f9",
    ),
    "RemoteCLIP-ViT-B-32": Published(
        "ViT-B-32", True, _REMOTE_WHY, "Apache-2.0", _REMOTE, "RemoteCLIP-ViT-B-32.pt",
        "60014e395d930a3f2963d1d89c8522bf4ad56775571e4356e866864789af85c4",
    ),
    "RemoteCLIP-ViT-L-14": Published(
        "ViT-L-14", True, _REMOTE_WHY, "Apache-2.0", _REMOTE, "RemoteCLIP-ViT-L-14.pt",
        "fcc2a7e21e171f4ffcb7a9c0206b8b74ac0c9eb83c67b576958b7a4ed6c8cecb",
    ),
    "GeoRSCLIP-ViT-B-32": Published(
        "ViT-B-32", True, "its README loads it over OpenAI's weights", _GEO_LICENCE, _GEO,
        "ckpt/RS5M_ViT-B-32.pt",
    ),
    "GeoRSCLIP-ViT-L-14": Published(
        "ViT-L-14", True, "not documented; taken to be as that of ViT-L-14-336", _GEO_LICENCE, _GEO,
        "ckpt/RS5M_ViT-L-14.pt", "9119b7731c17dd66fae13619203f33900946fe0660095ed54d8e6c7cfe8d03c0",
    ),
    "GeoRSCLIP-ViT-L-14-336": Published(
        "ViT-L-14-336", True, "not documented; open_clip has only OpenAI's weights of this architecture",
        _GEO_LICENCE, _GEO, "ckpt/RS5M_ViT-L-14-336.pt",
        "b0c2c660e917a7235f7aec346556d2696cbf419249cf75bcd8c17b822b76428c",
    ),
    "GeoRSCLIP-ViT-H-14": Published(
        "ViT-H-14", False, "its README loads it over LAION's weights", _GEO_LICENCE, _GEO,
        "ckpt/RS5M_ViT-H-14.pt",
    ),
    "SkyCLIP-ViT-B-32": Published(
        "ViT-B-32", False, _SKY_WHY, "MIT", page=f"{SKYSCRIPT}/SkyCLIP_ViT_B32_top50pct.zip"
    ),
    "SkyCLIP-ViT-L-14": Published(
        "ViT-L-14", True, _SKY_WHY, "MIT", page=f"{SKYSCRIPT}/SkyCLIP_ViT_L14_top50pct.zip"
    ),
    "FarSLIP1-ViT-B-32": Published(
        "ViT-B-32", True, _FAR_WHY, "MIT", "ZhenShiL/FarSLIP", "FarSLIP1_ViT-B-32.pt"
    ),
    "FarSLIP2-ViT-B-32": Published(
        "ViT-B-32", True, _FAR_WHY, "MIT", "ZhenShiL/FarSLIP", "FarSLIP2_ViT-B-32.pt"
    ),
}  # fmt: skip

STUDIES = {
    "rs-transclip": "El Khoury et al., ICASSP 2025 (arXiv 2409.00698), table 1, mean of 106 templates",
    "farslip": "FarSLIP's README (arXiv 2511.14901), SkyScript's prompts",
    "georsclip": "GeoRSCLIP's README",
}
_DATASETS = {
    "rs-transclip": ("aid", "eurosat", "optimal31", "patternnet", "resisc45"),
    "farslip": ("aid", "eurosat", "patternnet", "resisc45"),
    "georsclip": ("aid", "eurosat", "resisc45"),
}
_ACCURACIES = {  # top 1, percent, in the order of _DATASETS
    ("rs-transclip", "RN50/openai"): (55.4, 28.3, 64.5, 46.4, 52.8),
    ("rs-transclip", "RemoteCLIP-RN50"): (89.1, 26.7, 64.0, 43.6, 51.6),
    ("rs-transclip", "ViT-B-32/openai"): (66.4, 45.3, 73.0, 59.6, 60.7),
    ("rs-transclip", "GeoRSCLIP-ViT-B-32"): (70.3, 53.4, 79.6, 75.8, 68.8),
    ("rs-transclip", "RemoteCLIP-ViT-B-32"): (91.7, 35.5, 77.6, 55.9, 68.1),
    ("rs-transclip", "SkyCLIP-ViT-B-32"): (70.3, 52.6, 79.5, 73.8, 66.7),
    ("rs-transclip", "ViT-L-14/openai"): (69.7, 60.1, 80.6, 74.7, 71.3),
    ("rs-transclip", "GeoRSCLIP-ViT-L-14"): (74.4, 59.9, 83.7, 77.4, 73.8),
    ("rs-transclip", "RemoteCLIP-ViT-L-14"): (84.1, 43.6, 83.8, 61.4, 76.0),
    ("rs-transclip", "SkyCLIP-ViT-L-14"): (72.1, 51.5, 80.9, 75.3, 70.5),
    ("rs-transclip", "GeoRSCLIP-ViT-H-14"): (76.3, 68.3, 84.8, 82.7, 73.8),
    ("farslip", "ViT-B-32/openai"): (58.00, 22.00, 52.97, 54.82),
    ("farslip", "RemoteCLIP-ViT-B-32"): (88.10, 28.52, 55.95, 69.10),
    ("farslip", "SkyCLIP-ViT-B-32"): (70.90, 33.33, 72.19, 66.63),
    ("farslip", "GeoRSCLIP-ViT-B-32"): (69.75, 41.33, 77.00, 69.90),
    ("farslip", "FarSLIP1-ViT-B-32"): (73.80, 49.26, 74.69, 69.93),
    ("farslip", "FarSLIP2-ViT-B-32"): (73.30, 49.30, 80.45, 67.77),
    ("farslip", "ViT-B-16/openai"): (65.85, 32.78, 63.82, 62.25),
    ("georsclip", "GeoRSCLIP-ViT-B-32"): (74.42, 61.40, 72.74),
    ("georsclip", "GeoRSCLIP-ViT-H-14"): (76.33, 67.47, 73.83),
}
_SAME = {  # other names of the same weights
    "hf-hub:openai/clip-vit-base-patch32": "ViT-B-32/openai",
    "hf-hub:openai/clip-vit-base-patch16": "ViT-B-16/openai",
    "hf-hub:openai/clip-vit-large-patch14": "ViT-L-14/openai",
}


def published_accuracies(backbone: str, dataset: str) -> dict[str, float]:
    """Return the zero-shot accuracies that were published, 0 to 1, by the study in words.

    Args:
        backbone: Name of a backbone, as in `task.backbone`.
        dataset: Name of a dataset in the registry.

    Returns:
        Top-1 accuracies; none where none is known here.
    """
    name = _SAME.get(backbone.partition("@")[0], backbone.replace("-quickgelu/", "/"))
    return {
        STUDIES[study]: round(values[_DATASETS[study].index(dataset)] / 100, 4)
        for (study, weights), values in _ACCURACIES.items()
        if weights == name and dataset in _DATASETS[study]
    }


def published_file(name: str) -> Path:
    """Return the file of published weights from the hub or its local cache, after a check of its content.

    Raises:
        UserError: It cannot be had, or is not the published file.
    """
    entry = PUBLISHED[name]
    if not entry.repo:
        raise UserError(
            f"task.backbone={name} needs a local file, task.backbone_path=/path/file: download it from "
            f"{entry.source.where}"
        )
    try:
        file = hub_file(entry.repo, entry.file)
    except Exception as error:  # the hub's client and its transport raise many types
        raise UserError(
            f"task.backbone={name} needs a local file, task.backbone_path=/path/file: download it from "
            f"{entry.source.where}; it is in no local cache, and the hub did not give it ({short(error)})"
        ) from None
    if entry.sha256 and (digest := file_digest(file)) != entry.sha256:
        raise UserError(
            f"{file} is not the published {name}: its sha256 is {digest[:12]}, not {entry.sha256[:12]}; the "
            "download is damaged or was replaced: delete it, or name a file that you trust by "
            "task.backbone_path"
        )
    return file
