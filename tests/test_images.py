"""Pictures are read as they were drawn, and refused by name when they are broken."""
import gzip
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transformer.data.images import (
    Preparing,
    cifar10,
    digits,
    fitted,
    folder,
    grid,
    mnist,
    nearest,
    prepared,
    read,
    write,
)
from transformer.mistakes import Mistake

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 5, 3)).astype(np.uint8)


def test_a_picture_comes_back(tmp_path):
    write(tmp_path / "a.png", PIXELS)
    assert (read(tmp_path / "a.png") == PIXELS).all()
    write(tmp_path / "b.png", PIXELS, times=3)
    assert (read(tmp_path / "b.png")[1::3, 1::3] == PIXELS).all()
    write(tmp_path / "grey.png", PIXELS[..., 0])
    assert (read(tmp_path / "grey.png") == PIXELS[..., :1]).all()


def test_palettes_are_looked_up_and_what_is_clear_is_white(tmp_path):
    palette = Image.fromarray(np.asarray([[0, 1], [1, 0]], np.uint8), mode="P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "p.png")
    assert read(tmp_path / "p.png").tolist() == [[[255, 0, 0], [0, 0, 255]], [[0, 0, 255], [255, 0, 0]]]
    Image.fromarray(np.asarray([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8)).save(tmp_path / "clear.png")
    assert read(tmp_path / "clear.png").tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_16_bits_are_cut_to_8_and_a_photo_stands_as_it_says(tmp_path):
    Image.fromarray(np.asarray([[0, 256 * 7, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read(tmp_path / "deep.png")[..., 0].tolist() == [[0, 7, 255]]
    turned = Image.Exif()
    turned[0x112] = 6  # its right side is up
    Image.fromarray(PIXELS).save(tmp_path / "turned.png", exif=turned)
    assert (read(tmp_path / "turned.png") == np.rot90(PIXELS, -1)).all()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    with pytest.raises(Mistake, match="huge.png says that it has more pixels"):
        read(tmp_path / "huge.png")


def test_broken_pictures_are_told(tmp_path):
    write(tmp_path / "a.png", PIXELS)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[:len(data) // 2])
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    (tmp_path / "flipped.png").write_bytes(bytes(flipped))
    (tmp_path / "text.png").write_text("no picture at all")
    for name, sentence in (("cut", "is a broken picture"), ("flipped", "is a broken picture"), ("text", "is no picture"), ("none", "no file")):
        with pytest.raises(Mistake, match=sentence):
            read(tmp_path / f"{name}.png")


def test_a_folder_of_classes(tmp_path):
    for name, level in (("cat/1", 10), ("cat/2", 20), ("dog/1", 30)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / f"{name}.png", np.full((9, 12, 3), level))
    found = folder(tmp_path, 6)
    assert found.pixels.shape == (3, 6, 6, 3) and found.classes == ("cat", "dog") and found.labels.tolist() == [0, 0, 1]
    assert found.pixels[:, 3, 3, 0].tolist() == [10, 20, 30]
    (tmp_path / "dog" / "2.png").write_text("?")
    with pytest.raises(Mistake, match="2.png is no picture"):
        folder(tmp_path, 6)
    (tmp_path / ".thumbnails").mkdir()
    write(tmp_path / ".thumbnails" / "3.png", np.full((9, 12, 3), 40))
    assert folder(tmp_path, 6, skip=True).labels.tolist() == [0, 0, 1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match="holds no file that ends in .png or"):
        folder(tmp_path / "empty", 6)


def test_the_middle_is_kept():
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 255
    assert (fitted(wide, 4) == 255).all()


def idx(array):
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_mnists_files(tmp_path):
    images, labels = RANDOM.integers(0, 256, (3, 28, 28)).astype(np.uint8), np.asarray([7, 0, 9], np.uint8)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    found = mnist(tmp_path)
    assert (found.pixels[..., 0] == images).all() and found.labels.tolist() == [7, 0, 9]
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels)[:-1])
    with pytest.raises(Mistake, match="says that it holds 3 values, but there are 2"):
        mnist(tmp_path)
    with pytest.raises(Mistake, match="t10k-images-idx3-ubyte, packed"):
        mnist(tmp_path, "t10k")


def test_cifars_files(tmp_path):
    pixels, labels = RANDOM.integers(0, 256, (2, 32, 32, 3)).astype(np.uint8), np.asarray([3, 9], np.uint8)
    records = np.concatenate([labels[:, None], pixels.transpose(0, 3, 1, 2).reshape(2, -1)], 1)
    (tmp_path / "data_batch_1.bin").write_bytes(records.tobytes())
    found = cifar10(tmp_path)
    assert (found.pixels == pixels).all() and found.labels.tolist() == [3, 9]
    (tmp_path / "test_batch.bin").write_bytes(records.tobytes()[:-1])
    with pytest.raises(Mistake, match="test_batch.bin was cut off: 6145 bytes"):
        cifar10(tmp_path, "test")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data_batch_1").write_bytes(b"\x80\x02")
    with pytest.raises(Mistake, match="pickles"):
        cifar10(tmp_path / "other")


@pytest.mark.slow
def test_digits():
    found = digits()
    assert found.pixels.shape == (1797, 8, 8, 1) and found.pixels.max() == 16 and np.bincount(found.labels).min() > 170


def test_the_nearest_picture_is_found():
    levels = np.stack([np.full((2, 2, 1), level, np.uint8) for level in (0, 100, 200)])
    which, far = nearest(levels[[2, 0]] + np.uint8(3), levels)
    assert which.tolist() == [2, 0] and far.tolist() == [3, 3]


def test_pictures_lie_side_by_side():
    page = grid(np.stack([np.full((2, 2), level, np.uint8) for level in (1, 2, 3)]), columns=2)
    assert page.shape == (7, 7) and page[1, 1] == 1 and page[1, 4] == 2 and page[4, 1] == 3 and page[4, 4] == 255


def test_preparing_is_resize_crop_scale_and_normalise():
    config = {"size": {"shortest_edge": 4}, "crop_size": {"height": 4, "width": 4}, "do_center_crop": True, "resample": 3,
              "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2]}
    shown = prepared(np.full((1, 4, 8, 3), 255, np.uint8), Preparing.of(config))
    assert shown.shape == (1, 4, 4, 3) and shown.dtype == np.float32
    np.testing.assert_allclose(shown[0, 0, 0], [1.0, 2.4, 3.5], rtol=1e-6)
    plain = prepared(PIXELS[None], Preparing.of({"do_resize": False, "do_normalize": False}))
    np.testing.assert_allclose(plain[0], PIXELS / 255.0, rtol=1e-6)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    as_it_is = prepared(PIXELS[None], Preparing.of({"do_resize": False, "image_mean": mean.tolist(), "image_std": deviation.tolist()}))
    np.testing.assert_allclose(as_it_is[0], (PIXELS / 255.0 - mean) / deviation, atol=1e-5)


@pytest.mark.parametrize("name", ["squeezed", "stretched", "cropped"])
def test_pictures_are_prepared_as_others_do(name):
    """By transformers' processors on Pillow, and their own preprocessor_config.json."""
    recorded = np.load(Path(__file__).parent / "reference" / "pictures.npz")
    shown = prepared(recorded["picture"][None], Preparing.of(json.loads(str(recorded[name + ".config"]))))
    np.testing.assert_allclose(shown[0].transpose(2, 0, 1), recorded[name], rtol=1e-6, atol=1e-6)
