"""Speech and its texts: what is to be written of it, how much of that is wrong, and by whom it is spoken."""
import shutil

import jax
import numpy as np
import pytest

from experiments.encoder_decoders import whisper
from transformer.data import speech, tokenizers, waves
from transformer.data.examples import example
from transformer.data.made import espeak, vowels
from transformer.data.sound import RATE
from transformer.data.speech import Spoken, edits, errors
from transformer.mistakes import Mistake
from transformer.models.whisper import Size, Whisper
from transformer.shows.speech import listened
from transformer.training.hearing import misheard, nearest
from transformer.weights import initialise

SAID = vowels.utterances(6, seed=0)


def test_edits_are_counted():
    assert edits("kitten", "sitting") == 3 and edits("", "abc") == 3 and edits("abc", "abc") == 0
    assert edits(["one", "two"], ["two"]) == 1 and errors(["ab", ""], ["abc", "d"]) == 0.5


def test_an_utterance_becomes_an_example():
    tokenizer = speech.signed(tokenizers.characters([one.text for one in SAID]), SAID)
    data = speech.heard(SAID, tokenizer, seconds=2, length=32)
    for at, one in enumerate(SAID):
        row = example(data, at)
        assert row["source"].shape == (200, 80) and row["source"].dtype == np.float32
        told = [tokenizer.core.id_to_token(int(id)) for id in row["target"][:3]]
        assert told == ["<s>", f"<|{one.language}|>", f"<|{one.task}|>"]
        assert tokenizer.decode(row["labels"]) == one.text and row["labels"][len(one.text) + 2] == tokenizer.end
        assert row["weights"].tolist() == [1, 0, *[1] * (len(one.text) + 1), *[0] * (29 - len(one.text))]
        np.testing.assert_array_equal(row["labels"][:-1], row["target"][1:])
    with pytest.raises(Mistake, match="but there is room for 4: give more"):
        speech.heard(SAID, tokenizer, seconds=2, length=4)
    moved = [example(speech.later(data).repeat(8), 6 * epoch)["source"] for epoch in range(8)]
    still = example(data, 0)["source"]
    begins = [next(by for by in range(10) if np.array_equal(one[by:], still[:200 - by])) for one in moved]
    assert len(set(begins)) > 3


def test_a_folder_of_recordings_is_read_with_its_texts(tmp_path, capsys):
    for name, seconds in (("a", 1), ("b", 1), ("long", 3)):
        waves.write(tmp_path / f"{name}.wav", 0.1 * np.sin(np.arange(seconds * RATE)))
    for name in ("a", "long"):
        (tmp_path / f"{name}.txt").write_text("well  said\n")
    with pytest.raises(Mistake, match="b.wav has no b.txt beside it"):
        speech.folder(tmp_path, 4)
    with pytest.raises(Mistake, match="long.wav is 3.0 seconds long, and there is room for 2"):
        speech.folder(tmp_path / "long.wav", 2)
    (one,) = speech.folder(tmp_path, 2, skip=True)
    assert (one.text, one.language, one.task) == ("well said", "own", "transcribe") and len(one.wave) == RATE
    assert "2 of 3 files" in capsys.readouterr().err


def test_sounds_have_their_formants():
    """The loudest harmonic of each is near its first formant."""
    random = np.random.default_rng(0)
    voices = vowels.Voices(pitches=((100, 100),), throats=(1.0, 1.0), paces=((0.4, 0.4),), noises=(60, 60))
    for sound, (first, _) in vowels.FORMANTS.items():
        power = np.abs(np.fft.rfft(vowels.voiced([sound], random, voices)[2000:8000]))
        assert power[:1200].argmax() * RATE / 6000 == pytest.approx(first, abs=75), sound


def test_utterances_are_spelled_in_their_language_or_translated():
    spoken = vowels.utterances(60, seed=1)
    assert {(one.language, one.task) for one in spoken} == {(a, b) for a in ("north", "south") for b in ("transcribe", "translate")}
    assert all(set(one.text.split()) <= set(vowels.ENGLISH) for one in spoken if one.task == "translate")
    letters = {language: {*"".join(one.text for one in spoken if one.language == language and one.task == "transcribe")} - {" "} for language in vowels.NUMBERS}
    assert not letters["north"] & letters["south"]
    words = [word for numbers in vowels.NUMBERS.values() for word in numbers]
    assert len(set(words)) == 20 and {*"".join(words)} <= {*vowels.SOUNDS}
    assert max(len(one.wave) for one in vowels.utterances(100, 2, vowels.STRANGE)) <= 2.1 * RATE  # the rest is silence


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_speaks_numbers(monkeypatch):
    monkeypatch.setattr(espeak, "NUMBERS", {"en": espeak.NUMBERS["en"], "de": espeak.NUMBERS["de"]})
    spoken = espeak.utterances(4, seed=0, voices=["f2"])
    assert all(0.3 * RATE < len(one.wave) <= 2 * RATE and one.text for one in spoken)
    low, high = (np.concatenate(espeak.spoken("en", voice, 0)) for voice in ("m3", "f2"))
    assert len(low) > RATE and not np.array_equal(low[:RATE], high[:RATE])


def test_without_espeak_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Mistake, match="espeak-ng is not installed: install it, as in apt-get install espeak-ng, or leave --voice out"):
        whisper.experiment(voice="espeak")
    with pytest.raises(Mistake, match="there is no voice 'mine'; there are formants and espeak"):
        whisper.experiment(voice="mine")


@pytest.mark.slow
def test_what_is_misheard_is_measured_and_shown(tmp_path):
    tokenizer = speech.signed(tokenizers.characters([one.text for one in SAID]), SAID)
    data, texts = speech.heard(SAID, tokenizer, seconds=2, length=32), [one.text for one in SAID]
    spec = Whisper.of(Size(tokenizer.size, frames=100, length=32, layers=1, embed=16, heads=2, mlp=16))
    model = jax.jit(lambda key: initialise(spec, key))(jax.random.key(0))
    found = misheard(data, tokenizer, texts, "all")(model, {})
    assert set(found) == {"all_letters_wrong", "all_words_wrong", "all_language"} and found["all_letters_wrong"] > 0.5
    assert "heard-1.wav" in listened(SAID, data, tokenizer, count=2)(model, tmp_path)
    assert (tmp_path / "heard.png").stat().st_size > 5000 and len(waves.heard(tmp_path / "heard-0.wav")) == len(SAID[0].wave)
    assert nearest(data, data, texts, texts) == 0


def test_own_recordings_are_learned_from(tmp_path):
    for number, one in enumerate(vowels.utterances(11, seed=3)):
        waves.write(tmp_path / f"{number:02d}.wav", one.wave)
        (tmp_path / f"{number:02d}.txt").write_text(one.text)
    experiment = whisper.experiment(folder=tmp_path, layers=1, embed=16, heads=2, mlp=16, rows=2, steps=1)
    assert len(experiment.data) == 10 and len(experiment.held_out) == 1 and experiment.corpus == f"recordings in {tmp_path.name}"
    (expected,) = experiment.expects
    assert isinstance(SAID[0], Spoken) and expected.measure == "letters_wrong"
    assert callable(expected.baseline) and expected.threshold is None and np.isfinite(expected.baseline())
    (tmp_path / "00.wav").unlink()
    (tmp_path / "01.wav").unlink()
    with pytest.raises(Mistake, match=f"{tmp_path.name} holds 9 recordings, of which every tenth is held out: give ten at least"):
        whisper.experiment(folder=tmp_path)


def test_a_baseline_is_counted_in_what_is_measured(monkeypatch):
    monkeypatch.setattr(espeak, "utterances", lambda count, seed, voices=(): vowels.utterances(count, 0))
    monkeypatch.setattr(whisper, "nearest", lambda data, asked, texts, true: [*texts, *true])
    first, second = whisper.experiment(voice="espeak", utterances=3, unseen=2).expects
    assert (first.measure, second.measure) == ("letters_wrong", "never_heard_words_wrong")
    letters, words = first.baseline(), second.baseline()
    assert [list(text) for text in words] == [text.split() for text in letters] and all(isinstance(text, str) for text in letters)
