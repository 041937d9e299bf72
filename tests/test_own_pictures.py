"""Experiments with pictures on the user's own: a folder of classes, or of pictures with texts beside them."""
import jax
import numpy as np
import pytest

from experiments.decoders import image_gpt, latents, pixel_cnn, pixel_rnn
from experiments.embeddings import clip
from experiments.encoder_decoders import captions
from experiments.encoders import vit
from transformer.data.batches import batches
from transformer.data.images import write
from transformer.mistakes import Mistake
from transformer.training.experiment import stages
from transformer.weights import initialise

LOOKING, TALKING = (vit, image_gpt, pixel_cnn, pixel_rnn, latents), (captions, clip)


def photos(path):
    random = np.random.default_rng(0)
    for at in range(24):
        folder = path / ("cat", "old_dog")[at % 2]
        folder.mkdir(exist_ok=True)
        write(folder / f"{at}.png", random.integers(0, 256, (9, 12, 3)))
    (path / "cat" / "0.txt").write_text("a cat that sleeps")
    return path


def small(module):
    return {name: min(value, 8) for name, value in module.SMOKE.items()}


@pytest.mark.slow
@pytest.mark.parametrize("module", [*LOOKING, *TALKING], ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_folder_takes_the_place_of_what_there_is(tmp_path, module, capsys):
    (photos(tmp_path) / "cat" / "2.png").write_text("no picture")
    with pytest.raises(Mistake, match="2.png is no picture"):
        next(stages(module.experiment(images=tmp_path, size=8, **small(module))))
    first = next(stages(module.experiment(images=tmp_path, size=8, skip=True, **small(module))))
    assert "1 of 24 files in" in capsys.readouterr().err and first.corpus == tmp_path.name
    if first.expects:
        assert module is vit or first.expects[0].threshold is None
    there = sum(len(part) for part in (first.data, first.held_out, first.validation) if part)
    assert there == 23 and 0 < len(first.held_out) < 12
    batch = batches(first.data, 4, 0)[0]
    total, weight, _ = jax.jit(first.loss)(initialise(first.model, jax.random.key(0)), batch)
    assert np.isfinite(float(total) / float(weight))
