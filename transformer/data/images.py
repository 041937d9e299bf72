"""Pictures as arrays: a folder of them, MNIST's and CIFAR-10's files, handwritten digits; and what a model is shown of one.

    pictures = folder("photos", size=32)          # photos/CLASS/*.png, or pictures without classes
    shown = prepared(pictures.pixels, Preparing.read("vit-base"))
"""
import dataclasses
import gzip
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from transformer.data import files
from transformer.mistakes import Mistake

KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
RECORD = 1 + 32 * 32 * 3  # bytes of a picture in CIFAR-10's binary files: its class, then red, green and blue


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pixels [n, height, width, channels] of 0 to 255, or of fewer levels, and the class of each, by number."""

    pixels: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = ()
    levels: int = 256

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, which: np.ndarray) -> "Pictures":
        """These rows of them, by number or by truth."""
        return dataclasses.replace(self, pixels=self.pixels[which], labels=self.labels[which])


def digits() -> Pictures:
    """1,797 handwritten digits of 8 × 8 pixels in 17 levels, 0 to 16 (Alpaydin and Kaynak 1998, UCI), with scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise Mistake("the digits come with scikit-learn: install the extra data, as in pip install -e .[data]") from None
    found: Any = load_digits()
    return Pictures(found.images.astype(np.uint8)[..., None], found.target.astype(np.int32), tuple("0123456789"), levels=17)


def read(path: str | Path) -> np.ndarray:
    """One picture as [height, width, 3], whatever its file holds, the way up that it says: palettes are looked up, of 16 bits
    the upper 8 are kept, transparency is laid on white."""
    path = Path(path)
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):
                image = Image.fromarray((np.asarray(image, np.uint32) >> 8).clip(0, 255).astype(np.uint8))
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        raise Mistake(f"{path} is no picture that can be read; there are {', '.join(kind[1:] for kind in KINDS)}") from None
    except FileNotFoundError:
        raise Mistake(f"there is no file {path}") from None
    except Image.DecompressionBombError:
        raise Mistake(f"{path} says that it has more pixels than any picture here may have; save it again, smaller") from None
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # Pillow calls a broken PNG a syntax error
        raise Mistake(f"{path}, of {path.stat().st_size} bytes, is a broken picture ({str(error) or type(error).__name__}); "
                      f"save it again") from None


def write(path: str | Path, pixels: np.ndarray, times: int = 1) -> None:
    """Pixels [height, width] or [height, width, 3] of 0 to 255 as a PNG, each drawn `times` by `times`."""
    pixels = np.clip(np.asarray(pixels), 0, 255).astype(np.uint8)
    Image.fromarray(pixels.repeat(times, 0).repeat(times, 1)).save(path)


def folder(path: str | Path, size: int, skip: bool = False) -> Pictures:
    """All pictures below a folder, the shorter side made `size` and the middle kept; the folders in it are the classes.

    One that cannot be read stops everything, unless it may be skipped; which were is printed.
    """
    path = Path(path).expanduser()
    found, pixels = files.each(path, KINDS, lambda file: fitted(read(file), size), skip)
    inside = [file.relative_to(path).parts[:-1] for file in found]
    names = sorted({folders[0] for folders in inside if folders})
    labels = [names.index(folders[0]) if folders else -1 for folders in inside]
    return Pictures(np.stack(pixels), np.asarray(labels, np.int32), tuple(names))


def fitted(pixels: np.ndarray, size: int) -> np.ndarray:
    """The shorter side made `size`, the middle square kept."""
    height, width = pixels.shape[:2]
    scale = size / min(height, width)
    resized = _resized(pixels, (max(size, round(height * scale)), max(size, round(width * scale))), Image.Resampling.BICUBIC)
    return _middle(resized, (size, size))


def mnist(path: str | Path, part: str = "train") -> Pictures:
    """MNIST's own files, packed or not: `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-...`."""
    images, labels = (_idx(_either(Path(path) / f"{part}-{name}")) for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise Mistake(f"{path}: {images.shape} images and {labels.shape} labels do not belong together")
    return Pictures(images[..., None], labels.astype(np.int32), tuple(map(str, range(10))))


def cifar10(path: str | Path, part: str = "train") -> Pictures:
    """CIFAR-10's binary version: `data_batch_1.bin` to 5, or `test_batch.bin`, and `batches.meta.txt`."""
    path = Path(path)
    files = sorted(path.glob("data_batch_*.bin" if part == "train" else "test_batch.bin"))
    if not files:
        more = " (what is there are pickles, which can run any program when opened)" if (path / "data_batch_1").exists() else ""
        raise Mistake(f"{path} holds no file of CIFAR-10's binary version, as data_batch_1.bin{more}")
    records = []
    for file in files:
        data = np.frombuffer(file.read_bytes(), np.uint8)
        if not len(data) or len(data) % RECORD:
            raise Mistake(f"{file} was cut off: {len(data)} bytes are no whole number of pictures of {RECORD} bytes")
        records.append(data.reshape(-1, RECORD))
    found = np.concatenate(records)
    names = path / "batches.meta.txt"
    classes = tuple(names.read_text().split()) if names.is_file() else tuple(map(str, range(10)))
    return Pictures(found[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), found[:, 0].astype(np.int32), classes)


@dataclasses.dataclass(frozen=True)
class Preparing:
    """What is done to a picture before a model sees it, as a preprocessor_config.json says."""

    size: tuple[int, int] | int | None = None  # height and width, or the shorter side
    crop: tuple[int, int] | None = None  # of the middle
    resample: int = int(Image.Resampling.BILINEAR)
    factor: float = 1 / 255
    mean: Sequence[float] = (0.5, 0.5, 0.5)
    deviation: Sequence[float] = (0.5, 0.5, 0.5)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Preparing":
        def sides(value: Any) -> Any:
            if isinstance(value, Mapping):
                return value["shortest_edge"] if "shortest_edge" in value else (value["height"], value["width"])
            return (value, value)

        resized, cropped = config.get("do_resize", True), config.get("do_center_crop", False)
        normal = config.get("do_normalize", True)
        return cls(sides(config["size"]) if resized and config.get("size") else None,
                   sides(config["crop_size"]) if cropped else None, config.get("resample", cls.resample),
                   config.get("rescale_factor", cls.factor) if config.get("do_rescale", True) else 1.0,
                   tuple(config["image_mean"]) if normal else (0.0,), tuple(config["image_std"]) if normal else (1.0,))

    @classmethod
    def read(cls, directory: str | Path) -> "Preparing":
        """That of a Hugging Face directory."""
        path = Path(directory) / "preprocessor_config.json"
        if not path.is_file():
            raise Mistake(f"{directory} has no preprocessor_config.json, which says how pictures are prepared")
        return cls.of(json.loads(path.read_text()))


def prepared(pixels: np.ndarray, how: Preparing) -> np.ndarray:
    """Pictures [n, height, width, 3] as a model sees them: resized, cropped, scaled and normalised, in float32."""
    found = []
    for picture in pixels:
        if isinstance(how.size, int):
            height, width = picture.shape[:2]
            short = min(height, width)
            picture = _resized(picture, (how.size * height // short, how.size * width // short), how.resample)
        elif how.size is not None:
            picture = _resized(picture, how.size, how.resample)
        found.append(picture if how.crop is None else _middle(picture, how.crop))
    scaled = np.stack(found).astype(np.float32) * np.float32(how.factor)
    return (scaled - np.asarray(how.mean, np.float32)) / np.asarray(how.deviation, np.float32)


def nearest(pictures: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each picture which of others is nearest, and how far it is: the root of the mean square over its pixels."""
    flat, found = others.reshape(len(others), -1).astype(np.float32), []
    for one in pictures.astype(np.float32):
        apart = np.square(flat - one.reshape(1, -1)).mean(1)
        found.append((apart.argmin(), np.sqrt(apart.min())))
    which, far = zip(*found, strict=True)
    return np.array(which), np.array(far)


def grid(pictures: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Pictures [n, height, width, ...] side by side in rows, with white between them."""
    rows = -(-len(pictures) // columns)
    height, width = pictures.shape[1:3]
    page = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, *pictures.shape[3:]), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = (place * (side + gap) + gap for place, side in zip(divmod(number, columns), (height, width), strict=True))
        page[top:top + height, left:left + width] = picture
    return page


def _resized(pixels: np.ndarray, size: tuple[int, int], resample: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling(resample)))


def _middle(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top, left = ((side - wanted) // 2 for side, wanted in zip(pixels.shape[:2], size, strict=True))
    if top < 0 or left < 0:
        raise Mistake(f"a picture of {pixels.shape[0]} × {pixels.shape[1]} is smaller than the {size[0]} × {size[1]} to be cut out of it")
    return pixels[top:top + size[0], left:left + size[1]]


def _either(path: Path) -> Path:
    """The file, or its packed form."""
    packed = path.with_name(path.name + ".gz")
    if not path.is_file() and not packed.is_file():
        raise Mistake(f"there is no file {path}, packed as .gz or not")
    return path if path.is_file() else packed


def _idx(path: Path) -> np.ndarray:
    """An array of bytes in the format of MNIST: two zeros, the type, the number of axes, their lengths, then the values."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise Mistake(f"{path} cannot be unpacked ({error})") from None
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or len(data) < 4 + 4 * data[3]:
        raise Mistake(f"{path} is no idx file of bytes: it should begin with 00 00 08 and the number of axes")
    shape = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if len(values) != int(np.prod(shape)):
        raise Mistake(f"{path} says that it holds {'×'.join(map(str, shape))} values, but there are {len(values)}")
    return values.reshape(shape)
