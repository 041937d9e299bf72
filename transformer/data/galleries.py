"""Which pictures are learned from and which are held out: the handwritten digits, or the user's own.

    learned, held_out = sides(Path("photos"), size=32)       # photos/CLASS/one.png, MNIST's files, CIFAR-10's binary ones
    pictures, captions = captioned(Path("photos"), 32)       # what stands in one.txt beside one.png, or else its folder's name
"""
import zlib
from pathlib import Path

import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, examples
from transformer.data.files import each, text
from transformer.data.images import KINDS, Pictures, cifar10, digits, fitted, folder, mnist, read
from transformer.mistakes import Mistake

SIDE = 32  # of the user's pictures, unless another is given


def sides(path: Path | None = None, size: int | None = None, skip: bool | None = None) -> tuple[Pictures, Pictures]:
    """Pictures to learn from, and held-out ones: MNIST's and CIFAR-10's own test files, or a quarter of what there is.

    One that cannot be read stops everything, unless it may be skipped; which were is printed.
    """
    if path is None:
        return apart(digits())
    if not path.is_dir():
        raise Mistake(f"there is no folder {path}; give one with pictures, as in {path}/CLASS/one.png")
    for begins, own, test in (("train-images-idx3-ubyte", mnist, "t10k"), ("data_batch_", cifar10, "test")):
        if any(path.glob(f"{begins}*")):
            learned, held_out = (_sized(found, size) for found in (own(path), own(path, test)))
            return learned, held_out
    return apart(folder(path, size or SIDE, bool(skip)))


def apart(pictures: Pictures, share: float = 0.25) -> tuple[Pictures, Pictures]:
    """To learn from, and a share held out: chosen by the pixels alone, so that no picture is on both sides."""
    order = np.array([zlib.crc32(picture.tobytes()) for picture in pictures.pixels])
    away = order <= np.sort(order)[max(round(share * len(order)), 1) - 1]
    if away.all():
        raise Mistake(f"of {len(pictures)} pictures none can be held out; give more, some dozens at least")
    return pictures.take(~away), pictures.take(away)


def captioned(path: Path, size: int | None = None, skip: bool | None = None) -> tuple[Pictures, list[str]]:
    """All pictures below a folder, their labels counting them, and what is said of each: the text in the file beside it, or the
    name of its folder."""
    path = path.expanduser()
    found = each(path, KINDS, lambda file: (fitted(read(file), size or SIDE), _said_of(file, path)), bool(skip))[1]
    return Pictures(np.stack([pixels for pixels, _ in found]), np.arange(len(found), dtype=np.int32)), [said for _, said in found]


def _said_of(file: Path, top: Path) -> str:
    beside = file.with_suffix(".txt")
    said = " ".join(text(beside).split()) if beside.is_file() else file.parent.name.replace("_", " ") if file.parent != top else ""
    if not said:
        raise Mistake(f"nothing says what is on {file}; write it into {beside}, or put the picture into a folder of that name")
    return said


def with_class(pictures: Pictures, nudge: int = 0) -> MapDataset:
    """`images` of 0 to 1 and their `label`; up to `nudge` pixels to any side in half of the cases, other ones in each epoch."""
    if not pictures.classes or (pictures.labels < 0).any():
        raise Mistake("there are pictures without a class; put each into a folder that has the class's name, as in cat/one.png")

    def shown(example: Example, rng: np.random.Generator) -> Example:
        image = example["images"]
        if nudge and rng.random() < 0.5:
            image = nudged(image, *rng.integers(-nudge, nudge + 1, 2))
        return {**example, "images": image.astype(np.float32) / (pictures.levels - 1)}

    plain = examples(images=pictures.pixels, label=pictures.labels.astype(np.int32), weights=np.ones(len(pictures), np.float32))
    return plain.random_map(shown, seed=8)


def unlabelled(pictures: Pictures) -> MapDataset:
    """`images` of 0 to 1, whatever is on them."""
    return examples(images=pictures.pixels.astype(np.float32) / (pictures.levels - 1), weights=np.ones(len(pictures), np.float32))


def nudged(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """A picture moved by so many pixels; what comes in is black."""
    height, width = image.shape[:2]
    moved = np.zeros_like(image)
    moved[max(down, 0):height + min(down, 0), max(right, 0):width + min(right, 0)] = image[
        max(-down, 0):height + min(-down, 0), max(-right, 0):width + min(-right, 0)]
    return moved


def _sized(pictures: Pictures, size: int | None) -> Pictures:
    if size is None or pictures.pixels.shape[1] == size:
        return pictures
    colours = pictures.pixels if pictures.pixels.shape[-1] == 3 else pictures.pixels.repeat(3, -1)
    pixels = np.stack([fitted(one, size)[..., :pictures.pixels.shape[-1]] for one in colours])
    return Pictures(pixels, pictures.labels, pictures.classes, levels=pictures.levels)
