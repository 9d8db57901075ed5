"""Image files as RGB: Pillow reads what it keeps whole, rasterio the rest, both by the rule of `reading`.

Pillow drops the low byte of colours of 16 bits, drops bands, takes signed bytes for unsigned ones, and
shifts the values of JPEG 2000 that are not of 8 or 16 bits. So the header is looked at first, and such a file
goes to rasterio. A rotation by EXIF or TIFF is not applied: pixels are taken as they are stored.

Shapes: H and W pixels, B bands.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, UnidentifiedImageError

from raysim.data.raster import is_nodata, large, read_raster, refuse_large, refuse_soft_alpha
from raysim.data.reading import (
    FLAT,
    Picture,
    Reading,
    Refused,
    bits_words,
    choose_bands,
    is_flat,
    reading_words,
    refuse_empty,
    to_rgb,
)
from raysim.data.tiff import ORIENTATION, Page, pages, unturned
from raysim.data.unreadable import UnreadableImage, explain_content, explain_os_error

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000")
DEFAULT = Reading()
BITS_PER_SAMPLE, SAMPLE_FORMAT, NODATA = 258, 339, 42113  # tags of TIFF
SIGNED = 2  # a value of SAMPLE_FORMAT
LARGE = 25_000_000  # pixels from which images are decoded one at a time, so that memory suffices
GRAY_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # of more than 8 bits
_LARGE_IMAGE = Lock()
# Images are read up to a number of pixels of raysim's own, so that Pillow's warning at half of it is noise.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # it logs what rasterio then reads


def read_image(file: Path, reading: Reading = DEFAULT) -> np.ndarray:
    """Read an image file as RGB, by the rule of `raysim.data.reading`.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        UnreadableImage: It cannot be read; the message has the reason and what helps.
    """
    return read_picture(file, reading).pixels


def read_picture(file: Path, reading: Reading = DEFAULT) -> Picture:
    """Read an image file as RGB, with the words that say how it was read.

    Raises:
        UnreadableImage: It cannot be read; the message has the reason and what helps.
    """
    content = read_bytes(file)
    try:
        return decode(content, reading)
    except Refused as refusal:
        raise UnreadableImage(file, refusal.reason, refusal.advice) from None
    except Exception as error:  # decoders raise many types
        raise UnreadableImage(file, *explain_content(content, error)) from error


def image_size(file: Path) -> tuple[int, int]:
    """Return width and height of an image file from its header, as its pixels are stored.

    Raises:
        UnreadableImage: It has no header of an image.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            turned = image.format == "TIFF" and image.tag_v2.get(ORIENTATION, 1) > 4  # type: ignore[attr-defined]
            return image.size[::-1] if turned else image.size
    except Exception:  # Pillow's decoders raise many types
        height, width = read_picture(file, Reading(bands="1")).pixels.shape[:2]
        return width, height


def read_bytes(file: Path) -> bytes:
    """Return the content of a file.

    Raises:
        UnreadableImage: It cannot be read; the message says why.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnreadableImage(file, *explain_os_error(error)) from error


def decode(content: bytes, reading: Reading) -> Picture:
    """Decode the content of an image file."""
    directories = refuse_pages(content)
    tiff = directories[0] if directories else None
    inverted = tiff is not None and tiff.white_is_zero
    notes = ["internal mask not used"] if any(page.mask for page in directories) else []
    turned = tiff.orientation if tiff else 1
    try:
        with Image.open(io.BytesIO(unturned(content)), formats=FORMATS) as image:
            refuse_large(*image.size)
            if image.format not in ("TIFF", "MPO") and getattr(image, "n_frames", 1) > 1:
                raise _several_pictures("frames")
            with _LARGE_IMAGE if image.width * image.height > LARGE else nullcontext():
                why = _beyond_pillow(image, content, reading, tiff)
                if why:
                    picture = read_raster(content, reading, why, inverted)
                else:
                    picture = _read_by_pillow(image, reading, inverted)
                    turned = turned if tiff else image.getexif().get(ORIENTATION, 1)
    except Image.DecompressionBombError as error:  # its message begins: Image size (196000000 pixels)
        pixels = re.search(r"\d+", str(error))
        raise large(int(pixels[0]) if pixels else 0) from None
    except UnidentifiedImageError:
        if tiff is None and not _is_jpeg2000(content):
            raise
        why = "is a raster of several bands or of an unusual type"
        picture = read_raster(content, reading, why, inverted)
    notes += ["EXIF rotation not applied"] if turned not in (0, 1) else []
    notes += [FLAT] if "stretched" in picture.read and is_flat(picture.pixels) else []
    return replace(picture, note=", ".join(notes))


def refuse_pages(content: bytes) -> list[Page]:
    """Return the directories of a TIFF file (none of another file), refused where it has several pictures."""
    directories = pages(content)
    if any(not page.part for page in directories[1:]):
        raise _several_pictures("pages")
    return directories


def _several_pictures(kind: str) -> Refused:
    return Refused(f"has several {kind}", "save the picture that you want as a file of its own")


def _beyond_pillow(image: Image.Image, content: bytes, reading: Reading, tiff: Page | None) -> str:
    """Return what an image has that Pillow would drop or mistake; empty for nothing."""
    if tiff and (tiff.sparse or tiff.compression):
        return "has parts that were never written" if tiff.sparse else f"is compressed by {tiff.compression}"
    bands, bits, unusual = len(image.getbands()), 8, ""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        numbers = tags.get(BITS_PER_SAMPLE, (1,))
        bands, bits = len(numbers), max(numbers)
        unusual = "signed values of 8 bits" if bits == 8 and SIGNED in tags.get(SAMPLE_FORMAT, ()) else ""
    elif image.format == "PNG":
        tile = getattr(image, "tile", None)  # the raw mode: RGB;16B
        bits = 16 if tile and "16" in str(tile[0].args) else 8
    elif image.format == "JPEG2000":
        bands, bits, signed = _jpeg2000_layout(content)
        unusual = f"{'signed ' * signed}values of {bits} bits" if signed or 8 < bits < 16 else ""
    if bands > 1 and bits > 8:
        return f"has {bands} bands of {bits} bits"
    if unusual:
        return f"has {unusual}"
    declared = len(image.getbands())  # fewer than in the file where Pillow drops some
    dropped = bands > declared and max(reading.band_numbers, default=0) > declared
    # nothing but GDAL says whether a second or fourth band of JPEG 2000 is transparency
    unclear = image.format == "JPEG2000" and bands not in (1, 3)
    return f"has {bands} bands" if dropped or unclear else ""


def _read_by_pillow(image: Image.Image, reading: Reading, inverted: bool) -> Picture:
    """Read an image of 8 bits a value or of one band."""
    nodata = _nodata(image)
    if image.mode in GRAY_MODES:
        choose_bands(["gray"], reading)
        values_HWB = _gray_values(image)[:, :, None]
        places, bits = [0], bits_words(values_HWB.dtype)
    else:
        inverted = False  # Pillow has done so
        if reading.is_default and nodata is None:
            words = reading_words("8 bits", len(image.getbands()), reading)
            words = "palettes, as they are" if image.mode == "P" else words
            return Picture(_eight_bits(image), words)
        image = _with_plain_bands(image)
        names = {"L": ["gray"], "LA": ["gray", "alpha"]}.get(image.mode, ["red", "green", "blue", "alpha"])
        names = names[: len(image.getbands())]
        places, alpha = choose_bands(names, reading)
        if alpha is not None:
            _refuse_soft_alpha(image)
        values_HWB, bits = np.atleast_3d(np.asarray(image))[..., places], "8 bits"
        if alpha is not None:
            return _transparent(image, values_HWB, nodata, reading)
    missing_HW = None if nodata is None else is_nodata(values_HWB, [nodata] * len(places))
    words = reading_words(bits, len(image.getbands()), reading)
    return Picture(to_rgb(values_HWB, missing_HW, reading.stretch, inverted), words)


def _transparent(
    image: Image.Image, values_HWB: np.ndarray, nodata: float | None, reading: Reading
) -> Picture:
    """Stretch an image with transparency and put it in front of black."""
    missing_HW = np.asarray(image.getchannel("A")) == 0
    if nodata is not None:
        missing_HW |= is_nodata(values_HWB, [nodata] * values_HWB.shape[2])
    rgb = to_rgb(values_HWB, missing_HW, reading.stretch)
    pixels = _in_front_of_black(Image.merge("RGBA", [*Image.fromarray(rgb).split(), image.getchannel("A")]))
    return Picture(pixels, reading_words("8 bits", len(image.getbands()), reading))


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Return an image of 8 bits as RGB, its transparent pixels black."""
    if image.has_transparency_data:
        _refuse_soft_alpha(image)
        clear = image.convert("RGBA")
        refuse_empty(np.asarray(clear.getchannel("A")) == 0)
        return _in_front_of_black(clear)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _in_front_of_black(image: Image.Image) -> np.ndarray:
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return np.array(Image.alpha_composite(black, image).convert("RGB"))


def _refuse_soft_alpha(image: Image.Image) -> None:
    if image.format == "TIFF" and image.mode in ("RGBA", "LA"):
        refuse_soft_alpha(np.asarray(image.getchannel("A")), 255)


def _with_plain_bands(image: Image.Image) -> Image.Image:
    """Return an image as gray or RGB, with its transparency where it has one: palettes become colours."""
    transparent = image.has_transparency_data
    if image.mode in ("1", "L", "LA"):
        mode = "LA" if transparent else "L"
    else:
        mode = "RGBA" if transparent else "RGB"
    converted = image if image.mode == mode else image.convert(mode)
    converted.format = image.format
    return converted


def _gray_values(image: Image.Image) -> np.ndarray:
    """Return the values of one band of more than 8 bits, in their own type. [H, W]."""
    values_HW = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if values_HW.dtype == np.int32 and max(tags.get(BITS_PER_SAMPLE, (0,))) == 32:
        unsigned = set(tags.get(SAMPLE_FORMAT, (1,))) == {1}  # which Pillow reads as signed
        return values_HW.view(np.uint32) if unsigned else values_HW
    if values_HW.dtype.kind == "u" and values_HW.dtype != np.uint16:
        return values_HW.astype(np.uint16)  # of the other byte order
    return values_HW


def _nodata(image: Image.Image) -> float | None:
    """Return the no-data value that a file declares: GDAL's tag, or the transparent gray of a PNG."""
    text = getattr(image, "tag_v2", {}).get(NODATA)
    transparent = image.info.get("transparency") if image.mode in GRAY_MODES else None
    try:
        return float(str(text).strip("\0 ")) if text is not None else transparent
    except ValueError:
        return None


def _is_jpeg2000(content: bytes) -> bool:
    return content.startswith((b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"))


def _jpeg2000_layout(content: bytes) -> tuple[int, int, bool]:
    """Return the number of bands, the bits of a value, and whether it is signed, from the SIZ marker."""
    at = content.find(b"\xff\x4f\xff\x51")
    size = content[at + 4 : at + 4 + 38 + 3]
    if at < 0 or len(size) < 41:
        return 3, 8, False
    return int.from_bytes(size[36:38], "big"), (size[38] & 0x7F) + 1, bool(size[38] & 0x80)
