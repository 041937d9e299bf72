"""Sound experiments on the user's own files, and what they leave to listen to."""
import jax
import numpy as np
import pytest

from experiments.decoders import wavenet
from transformer.data import waves
from transformer.data.batches import batches
from transformer.mistakes import Mistake
from transformer.shows.sound import save
from transformer.weights import holds, initialise

TIME = np.arange(4000) / 8000


def recordings(folder, count=11):
    for number in range(count):
        waves.write(folder / f"{number:02d}.wav", 0.5 * np.sin(2 * np.pi * (200 + 20 * number) * TIME), 8000)
    return folder


def first_loss(experiment):
    model = initialise(experiment.model, jax.random.key(0), holds(experiment.model))
    total, weight, _ = jax.jit(experiment.loss)(model, batches(experiment.data, experiment.rows, 0)[0])
    return float(total) / float(weight)


def test_wavenet_learns_from_a_folder(tmp_path, capsys):
    small = {"layers": 2, "cycle": 2, "embed": 8, "length": 64, "steps": 1, "seconds": 0.01}
    experiment = wavenet.experiment(folder=recordings(tmp_path), **small)
    assert np.isfinite(first_loss(experiment)) and experiment.corpus == f"sounds in {tmp_path.name}"
    model = initialise(experiment.model, jax.random.key(0), holds(experiment.model))
    (show,) = experiment.shows
    assert "generated.wav" in show(model, tmp_path) and len(waves.heard(tmp_path / "generated.wav", 8000)) == 64 + 80
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(Mistake, match="broken.wav is no WAV file"):
        wavenet.experiment(folder=tmp_path, **small)
    wavenet.experiment(folder=tmp_path, skip=True, **small)
    assert "1 of 14 files" in capsys.readouterr().err


def test_sounds_are_saved_to_be_heard_and_seen(tmp_path):
    said = save(tmp_path, {"the truth": np.sin(2 * np.pi * 440 * TIME), "drawn": 0 * TIME}, 8000, "A tone and silence")
    assert said == "A tone and silence: the-truth.wav, drawn.wav and sounds.png"
    assert np.abs(waves.heard(tmp_path / "the-truth.wav", 8000)).max() > 0.99
    assert (tmp_path / "sounds.png").stat().st_size > 5000
