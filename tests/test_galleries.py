"""What is learned from and what is held out, of the digits and of the user's own pictures; a broken file stops or is skipped."""
import gzip
import struct

import numpy as np
import pytest

from transformer.data.batches import batches
from transformer.data.examples import example
from transformer.data.galleries import apart, captioned, nudged, sides, with_class
from transformer.data.images import Pictures, write
from transformer.mistakes import Mistake

RANDOM = np.random.default_rng(0)


def many(count, side=4):
    pixels = RANDOM.integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    return Pictures(pixels, np.arange(count, dtype=np.int32) % 3, ("a", "b", "c"))


def photos(path, count=12):
    for at, pixels in enumerate(many(count, 6).pixels):
        folder = path / ("cat", "old_dog")[at % 2]
        folder.mkdir(exist_ok=True)
        write(folder / f"{at}.png", pixels)
    return path


def test_a_quarter_is_held_out_and_no_picture_is_on_both_sides():
    some = many(40)
    doubled = some.take(np.repeat(np.arange(40), 3))
    learned, held_out = apart(doubled)
    both = [{one.tobytes() for one in side.pixels} for side in (learned, held_out)]
    assert not both[0] & both[1] and len(both[1]) == 10 and len(learned) + len(held_out) == 120
    shuffled = apart(doubled.take(RANDOM.permutation(120)))[1]
    assert {one.tobytes() for one in shuffled.pixels} == both[1]
    again, chosen = apart(learned, 0.1)
    assert len(chosen) == 9 and len(again) == 81
    with pytest.raises(Mistake, match="of 5 pictures none can be held out"):
        apart(some.take(np.zeros(5, int)))


def test_the_digits_are_levels_of_ink():
    learned, held_out = sides()
    assert len(learned) == 1348 and len(held_out) == 449 and learned.levels == 17
    assert np.bincount(held_out.labels).min() > 30


def test_a_nudged_picture_leaves_black_behind():
    image = np.arange(1, 10).reshape(3, 3, 1)
    assert nudged(image, 1, 0)[..., 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert nudged(image, -1, 1)[..., 0].tolist() == [[0, 4, 5], [0, 7, 8], [0, 0, 0]]


def test_pictures_are_nudged_when_they_are_learned_and_scaled_always():
    some = many(60)
    plain, moved = (batches(with_class(some, nudge), 60, seed=0)[0]["images"] for nudge in (0, 1))
    same = (plain == moved).all((1, 2, 3)).mean()
    assert plain.max() <= 1 and plain.dtype == np.float32 and 0.3 < same < 0.8
    row = example(with_class(some).seed(0), 5)
    np.testing.assert_allclose(row["images"] * 255, some.pixels[5], atol=1e-4)
    assert row["label"] == 2 and row["weights"] == 1
    with pytest.raises(Mistake, match="pictures without a class"):
        with_class(Pictures(some.pixels, np.full(60, -1, np.int32), ("a",)))


def test_a_broken_picture_stops_or_is_skipped_and_counted(tmp_path, capsys):
    photos(tmp_path)
    data = (tmp_path / "cat" / "0.png").read_bytes()
    (tmp_path / "cat" / "0.png").write_bytes(data[: len(data) // 2])
    for read in (sides, captioned):
        with pytest.raises(Mistake, match=r"cat/0.png, of \d+ bytes, is a broken picture \(.+\); save it again"):
            read(tmp_path, 4)
        read(tmp_path, 4, True)
        skipped, count = capsys.readouterr().err.splitlines()
        assert "cat/0.png" in skipped and count == f"1 of 12 files in {tmp_path} were skipped"
    learned, held_out = sides(tmp_path, 4, True)
    assert len(learned) + len(held_out) == 11 and learned.pixels.shape[1:] == (4, 4, 3) and learned.classes == ("cat", "old_dog")
    with pytest.raises(Mistake, match="no folder .*nowhere; give one with pictures"):
        sides(tmp_path / "nowhere")


def test_what_is_said_of_a_picture_stands_beside_it_or_is_its_folder(tmp_path):
    photos(tmp_path, 3)
    (tmp_path / "cat" / "0.txt").write_text("a cat\n that sleeps\n")
    found, texts = captioned(tmp_path, 4)
    assert texts == ["a cat that sleeps", "cat", "old dog"] and found.pixels.shape == (3, 4, 4, 3)
    write(tmp_path / "loose.png", many(1).pixels[0])
    with pytest.raises(Mistake, match="nothing says what is on .*loose.png; write it into .*loose.txt"):
        captioned(tmp_path, 4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match="empty holds no file that ends in .png or"):
        captioned(tmp_path / "empty")


def test_mnist_and_cifar_hold_out_their_own_files(tmp_path):
    (tmp_path / "mnist").mkdir()
    for part, count in (("train", 5), ("t10k", 2)):
        for name, array in (("images-idx3", RANDOM.integers(0, 256, (count, 28, 28))), ("labels-idx1", np.arange(count))):
            head = b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (tmp_path / "mnist" / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))
    learned, held_out = sides(tmp_path / "mnist")
    assert learned.pixels.shape == (5, 28, 28, 1) and held_out.labels.tolist() == [0, 1]
    assert sides(tmp_path / "mnist", 14)[0].pixels.shape == (5, 14, 14, 1)
    (tmp_path / "cifar").mkdir()
    for name, count in (("data_batch_1", 3), ("data_batch_2", 3), ("test_batch", 2)):
        (tmp_path / "cifar" / f"{name}.bin").write_bytes(RANDOM.integers(0, 10, (count, 3073)).astype(np.uint8).tobytes())
    learned, held_out = sides(tmp_path / "cifar")
    assert learned.pixels.shape == (6, 32, 32, 3) and len(held_out) == 2
