"""Sound experiments on the user's own files, and what they leave to listen to."""
import jax
import numpy as np
import pytest

from experiments.decoders import audio_tokens, midi, spectrogram, wavenet
from transformer.data import midi as notes
from transformer.data import waves
from transformer.data.batches import batches
from transformer.data.examples import examples
from transformer.data.made.melodies import melodies
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


def test_a_spectrogram_is_learned_from_a_folder(tmp_path):
    small = {"layers": 1, "embed": 16, "heads": 2, "mlp": 16, "length": 16, "rows": 2, "steps": 1}
    experiment = spectrogram.experiment(folder=recordings(tmp_path), **small)
    assert np.isfinite(first_loss(experiment)) and len(experiment.data) == 9 * 32 // 17 and len(experiment.held_out) == 2 * 32 // 17
    with pytest.raises(Mistake, match="there are 64 frames of sound to learn from or to hold out, and a row takes 129"):
        spectrogram.experiment(folder=tmp_path)


def test_audio_tokens_are_those_of_a_folder(tmp_path):
    for name in ("calm", "wild"):
        (tmp_path / name).mkdir()
        waves.write(tmp_path / name / "a.wav", np.random.default_rng(0).normal(0, 0.1, 48 * 512 * 6), 8000)
    small = {"layers": 1, "embed": 16, "heads": 2, "mlp": 16, "codes": 8, "rows": 2, "steps": 1}
    first = next(audio_tokens.experiment(folder=tmp_path, **small))
    assert np.isfinite(first_loss(first)) and first.corpus == f"coarse codes of {tmp_path.name}"
    assert {int(row["tokens"][0]) for row in (first.data[at] for at in range(10))} == {16, 17} and len(first.held_out) == 2


def test_music_is_learned_from_a_folder(tmp_path, capsys):
    pieces, _ = melodies(11, 90, seed=0)
    for number, piece in enumerate(pieces):
        notes.write(tmp_path / f"{number:02d}.mid", notes.decode(piece))
    small = {"layers": 1, "embed": 16, "heads": 2, "mlp": 16, "length": 32, "rows": 2, "steps": 1}
    experiment = midi.experiment(folder=tmp_path, **small)
    assert np.isfinite(first_loss(experiment)) and experiment.corpus == f"music in {tmp_path.name}"
    model = initialise(experiment.model, jax.random.key(0), holds(experiment.model))
    (show,) = experiment.shows
    assert "generated.mid and roll.png" in show(model, tmp_path) and notes.read(tmp_path / "truth.mid")
    (tmp_path / "z.mid").write_bytes((tmp_path / "00.mid").read_bytes()[:-9])
    with pytest.raises(Mistake, match="z.mid, byte 14: the chunk b'MTrk' says that it has"):
        midi.experiment(folder=tmp_path, **small)
    midi.experiment(folder=tmp_path, skip=True, **small)
    assert "1 of 14 files" in capsys.readouterr().err


def test_music_is_learned_in_its_own_key_or_in_others():
    piece = {"tokens": np.arange(60, 66), "targets": np.arange(61, 67)}
    for most, steps in ((0, {0}), (2, {-2, -1, 0, 1})):
        drawn = midi.in_any_key(examples(**{name: row[None] for name, row in piece.items()}), most).seed(0).repeat(40)
        moved = [{name: row - piece[name] for name, row in one.items()} for one in (drawn[at] for at in range(40)) if one]
        assert {int(one["tokens"][0]) for one in moved} == steps
        assert all((row == one["tokens"][0]).all() for one in moved for row in one.values())


def test_sounds_are_saved_to_be_heard_and_seen(tmp_path):
    said = save(tmp_path, {"the truth": np.sin(2 * np.pi * 440 * TIME), "drawn": 0 * TIME}, 8000, "A tone and silence")
    assert said == "A tone and silence: the-truth.wav, drawn.wav and sounds.png"
    assert np.abs(waves.heard(tmp_path / "the-truth.wav", 8000)).max() > 0.99
    assert (tmp_path / "sounds.png").stat().st_size > 5000
