"""`python -m transformer transcribe`: windows follow what was said, doubtful texts are drawn anew, silence stays silent."""
import json
import re
import shutil
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_command_line import told
from test_waves import written
from tiny import sharp

from transformer import transcribe
from transformer.__main__ import main
from transformer.data.tokenizers import _token, raw_bytes
from transformer.decoding.listening import Heard, listen, parts, surely
from transformer.huggingface import save
from transformer.models.gpt2 import GPT2
from transformer.models.gpt2 import Size as GPTSize
from transformer.models.whisper import Size, Whisper
from transformer.transcribe import clock

FIRST = 1000  # the token of the time zero
FINE = {"text": "words", "logprob": -0.5, "silence": 0.0}


def times(*tokens):
    """Times are floats, in seconds; texts whole numbers."""
    return [FIRST + round(token / 0.02) if isinstance(token, float) else token for token in tokens]


@pytest.mark.parametrize("tokens, expected, done", [
    # pairs: two sentences are done, the third is heard again from 3.0 on
    (times(0.0, 1, 2, 1.5, 1.5, 3, 3.0, 3.0, 4), [(0, 75, times(0.0, 1, 2, 1.5)), (75, 150, times(1.5, 3, 3.0))], 300),
    # a single time at the end: nothing follows
    (times(0.0, 1, 1.5, 1.5, 3, 3.0), [(0, 75, times(0.0, 1, 1.5)), (75, 150, times(1.5, 3, 3.0))], 3000),
    # no pair: one piece until the last time, or until the end of the window
    (times(0.0, 1, 2, 3.0), [(0, 150, times(0.0, 1, 2, 3.0))], 3000), (times(0.0, 1, 2), [(0, 1500, times(0.0, 1, 2))], 3000),
    ([1, 2], [(0, 1500, [1, 2])], 3000), ([], [(0, 1500, [])], 3000),
    # one that would never go on
    (times(0.0, 0.0, 1), [(0, 0, times(0.0))], 3000)])
def test_where_the_next_window_begins(tokens, expected, done):
    found, frames = parts(tokens, FIRST, 3000)
    assert [(start, end, list(tokens)) for start, end, tokens in found] == expected
    assert frames == done


def test_windows_follow_what_was_said():
    """As by hand: 70 seconds, of which the second window ends in the middle of a sentence, and the third is silent."""
    texts = {0: times(0.0, 1, 20.0, 20.0, 2), 2000: times(0.0, 2, 25.0), 5000: times(0.0, 9, 1.0)}
    asked = []

    def hear(at, said):
        asked.append((at, list(said)))
        return lambda temperature: Heard(texts[at], "words", -0.5 if at < 5000 else -2.0, 0.9)

    segments = list(listen(hear, 7000, 3000, FIRST, temperatures=(0.0,)))
    assert [(one.start, one.end) for one in segments] == [(0.0, 20.0), (20.0, 45.0)]
    first, second = times(0.0, 1, 20.0), times(0.0, 2, 25.0)
    assert asked == [(0, []), (2000, first), (5000, first + second)]  # the sentence that was cut off is not remembered
    asked.clear()
    list(listen(hear, 7000, 3000, FIRST, temperatures=(0.0,), remembers=False))
    assert asked == [(0, []), (2000, []), (5000, [])]


def test_what_was_drawn_warm_is_not_gone_on_from():
    """And a window is listened to once, however often it is written down."""
    asked, tried = [], []

    def hear(at, said):
        def written(temperature):
            tried.append(temperature)
            return Heard(times(0.0, 1, 5.0), "words", -2.0 if temperature < 0.6 else -0.5, 0.0, temperature)

        asked.append(list(said))
        return written

    segments = list(listen(hear, 6000, 3000, FIRST))
    assert asked == [[], []] and tried == [0.0, 0.2, 0.4, 0.6] * 2 and [one.heard.temperature for one in segments] == [0.6, 0.6]


@pytest.mark.parametrize("heard, doubtful, silent", [
    ({}, False, False), ({"logprob": -1.01}, True, False), ({"logprob": -1.0}, False, False), ({"text": "na " * 100}, True, False),
    ({"silence": 0.61}, False, False), ({"silence": 0.61, "logprob": -1.2}, False, True), ({"silence": 0.6, "logprob": -1.2}, True, False),
    ({"silence": 0.61, "text": "na " * 100}, True, False), ({"text": ""}, False, False)])
def test_what_is_doubtful_and_what_is_silent(heard, doubtful, silent):
    heard = Heard([], **{**FINE, **heard})
    assert (heard.doubtful, heard.silent) == (doubtful, silent)


def test_a_doubtful_text_is_drawn_warmer_until_it_is_not():
    def hear(logprobs):
        tried = []

        def one(temperature):
            tried.append(temperature)
            return Heard([], **{**FINE, "logprob": logprobs[len(tried) - 1]}, temperature=temperature)

        return surely(one).temperature, tried

    assert hear([-0.5]) == (0.0, [0.0])
    assert hear([-2, -1.5, -0.9]) == (0.4, [0.0, 0.2, 0.4])
    assert hear([-2] * 6) == (1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_compression_is_zlibs():
    assert Heard([], "na " * 100, 0, 0).compression == 300 / len(zlib.compress(b"na " * 100))
    assert Heard([], "Whisper", 0, 0).compression < 1


def test_a_clock_shows_hours_where_there_are_any():
    assert [clock(t) for t in (0, 61.5, 3599.9996, 3661.25)] == ["00:00.000", "01:01.500", "01:00:00.000", "01:01:01.250"]


SIGNS = ["startoftranscript", "en", "de", "translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A Whisper that hears a second at a time, with random weights; and what is none."""
    place = tmp_path_factory.mktemp("ears")
    tokenizer = raw_bytes(1)
    tokenizer.core.add_special_tokens([_token(f"<|{word}|>") for word in ["endoftext", *SIGNS]])
    tokenizer.core.add_tokens([f"<|{n * 0.02:.2f}|>" for n in range(51)])
    size = Size(tokenizer.tokens, frames=50, length=32, layers=1, embed=16, heads=2, mlp=16)
    save(place / "whisper", sharp(Whisper.of(size)), tokenizer)
    (place / "whisper" / "generation_config.json").write_text(json.dumps({"is_multilingual": True}))
    save(place / "mute", sharp(Whisper.of(size)))
    save(place / "plain", sharp(Whisper.of(size)), raw_bytes(1))
    save(place / "gpt2", sharp(GPT2.of(GPTSize(64, 16, 1, 16, 2))), raw_bytes(1))
    noise = np.random.default_rng(0).normal(size=(20_000, 1)).clip(-3, 3) / 4
    written(place / "sound.wav", noise, rate=8_000)
    (place / "none.wav").write_bytes(b"no sound")
    return place


@pytest.mark.slow
def test_a_sound_is_written_down(place, capsys):
    """Two and a half seconds at 8 kHz, in windows of one: in order, within the sound, and the same each time."""
    command = ["transcribe", str(place / "whisper"), str(place / "sound.wav"), "--language", "de"]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["language"] == "de" and told["text"] == " ".join(one["text"] for one in told["segments"])
    starts = [one["start"] for one in told["segments"]]
    assert starts == sorted(starts) and all(0 <= one["start"] < one["end"] <= 3.0 for one in told["segments"])
    assert starts and {"tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"} <= told["segments"][0].keys()
    assert main([*command, "--timestamps"]) == 0
    begun = re.findall(r"^\[00:(\d\d\.\d{3}) --> 00:\d\d\.\d{3}\] ", capsys.readouterr().out, re.MULTILINE)
    assert [float(start) for start in begun] == starts


@pytest.mark.slow
def test_what_is_heard_is_what_the_model_says(place):
    """Greedy, of one window: the tokens and the chances of silence and of languages are the model's own."""
    ear = transcribe._ear(str(place / "whisper"), np.random.default_rng(1).normal(size=30_000).astype(np.float32) / 4, 0)
    assert ear.frames == 188 and ear.window == 100 and ear.sound.shape == (288, 80)
    told = ear.signs.told("en", "transcribe")
    assert told == [ear.signs.start, ear.signs.start + 1, ear.signs.start + 4]
    heard = ear.hear(told, 100, [70, 71])(0.0)
    memory = ear.memory(100)
    prompt = [ear.signs.previous, 70, 71, *told]
    frames = jnp.asarray(np.pad(ear.sound[100:188], ((0, 12), (0, 0))))[None]
    logits = np.asarray(jax.jit(lambda model: model(frames, jnp.asarray([prompt])))(ear.model))[0]
    chances = np.exp(logits - logits.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    assert heard.silence == pytest.approx(chances[3, ear.signs.silence], rel=1e-3)
    # What comes first is a time within the first second, and the likeliest of them.
    latest = min(ear.signs.first + 51, len(chances[0]))
    assert heard.tokens[0] == ear.signs.first + int(logits[-1, ear.signs.first:latest].argmax())
    assert not set(heard.tokens) & set(range(ear.signs.end, ear.signs.first))
    assert ear.language() in ("en", "de") and memory.shape == (1, 50, 16)


@pytest.mark.parametrize("said", [{"is_multilingual": False}, {}])  # or by its vocabulary, which is small
def test_an_english_only_whisper_is_told_no_language_and_no_task(place, tmp_path, capsys, said):
    """Though its tokenizer, like every Whisper's, has the tokens of both."""
    shutil.copytree(place / "whisper", tmp_path / "english")
    (tmp_path / "english" / "generation_config.json").write_text(json.dumps(said))
    ear = transcribe._ear(str(tmp_path / "english"), np.zeros(800, np.float32), 0)
    assert ear.language() is None and ear.signs.told(None, "transcribe") == [ear.signs.start]
    for words, part in ((["--language", "en"], "it knows English only"), (["--task", "translate"], "cannot translate")):
        assert part in told(capsys, 2, lambda: main(["transcribe", str(tmp_path / "english"), str(place / "sound.wav"), *words]))


@pytest.mark.parametrize("name, words, part", [
    ("whisper", [], "wants a sound file after the directory"),
    ("whisper", ["none.wav"], "is no WAV file"), ("whisper", ["nowhere.wav"], "there is no file"),
    ("whisper", ["sound.wav", "--language", "fr"], "knows no language 'fr'; there are de, en"),
    ("whisper", ["sound.wav", "--task", "sing"], "no task 'sing'; there are transcribe and translate"),
    ("whisper", ["sound.wav", "--beams", "3"], "no knob '--beams'"),
    ("gpt2", ["sound.wav"], "is a GPT2, which hears nothing"), ("mute", ["sound.wav"], "has no tokenizer.json"),
    ("plain", ["sound.wav"], "by which a Whisper is told"), ("nowhere", ["sound.wav"], "there is no directory")])
def test_what_cannot_work_is_told_in_one_sentence(place, capsys, name, words, part):
    words = [str(place / word) if word.endswith(".wav") else word for word in words]
    assert part in told(capsys, 2, lambda: main(["transcribe", str(place / name), *words]))
