"""What was said, and how it sounds: Whisper's examples, and how many of its words are wrong.

    spoken = folder("recordings", seconds=2)          recordings/one.wav, and what is said in it in recordings/one.txt
    data = heard(spoken, signed(tokenizer, spoken), seconds=2)
"""
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from grain import MapDataset

from transformer.data import files, waves
from transformer.data.examples import Example, examples
from transformer.data.sound import RATE, log_mel
from transformer.data.tokenizers import Tokenizer
from transformer.mistakes import Mistake

TOLD = 3  # tokens by which the decoder is told what to do: start, language, task
SHIFT = 10  # frames by which an utterance may begin later, anew in every epoch


@dataclasses.dataclass(frozen=True)
class Spoken:
    """An utterance, and what is to be written of it."""

    wave: np.ndarray
    text: str
    language: str = "own"
    task: str = "transcribe"


def folder(path: str | Path, seconds: int, skip: bool = False) -> list[Spoken]:
    """All recordings below a folder, each with its text beside it."""

    def read(file: Path) -> Spoken:
        wave = waves.heard(file)
        if len(wave) > seconds * RATE:
            raise Mistake(f"{file} is {len(wave) / RATE:.1f} seconds long, and there is room for {seconds}: "
                          "cut it, or make room with --seconds")
        if not file.with_suffix(".txt").is_file():
            raise Mistake(f"{file} has no {file.with_suffix('.txt').name} beside it, which should hold what is said in it")
        return Spoken(wave, " ".join(files.text(file.with_suffix(".txt")).split()))

    return files.each(path, (".wav",), read, skip)[1]


def signed(tokenizer: Tokenizer, spoken: Sequence[Spoken]) -> Tokenizer:
    """The same tokenizer, with a token for each language and each task."""
    names = sorted({one.language for one in spoken}) + sorted({one.task for one in spoken})
    tokenizer.core.add_special_tokens([_sign(name) for name in names])
    return tokenizer


def heard(spoken: Sequence[Spoken], tokenizer: Tokenizer, seconds: int, length: int) -> MapDataset:
    """A spectrogram in, a text of up to so many tokens out. The language is to be told from the sound; the task is given."""
    found = [log_mel([one.wave for one in spoken[at:at + 64]], seconds)[0].astype(np.float16) for at in range(0, len(spoken), 64)]
    signs = np.asarray([[tokenizer.core.token_to_id(_sign(name)) for name in (one.language, one.task)] for one in spoken])
    rows = [np.concatenate([sign, ids]) for sign, ids in zip(signs, tokenizer.documents([one.text for one in spoken]), strict=True)]
    longest = max(map(len, rows))
    if longest > length:
        raise Mistake(f"a text has {longest} tokens with those around it, but there is room for {length}: give more")
    labels = np.stack([np.pad(row, (0, length - len(row)), constant_values=tokenizer.pad) for row in rows]).astype(np.int32)
    place = np.arange(length)[None]
    weights = (place < np.asarray([[len(row)] for row in rows])) & (place != 1)
    target = np.concatenate([np.full((len(rows), 1), tokenizer.start, np.int32), labels[:, :-1]], 1)
    data = examples(source=np.concatenate(found), target=target, labels=labels, weights=weights.astype(np.float32))
    return data.map(lambda one: {**one, "source": one["source"].astype(np.float32), "present": np.ones(len(one["source"]), bool)})


def later(data: MapDataset) -> MapDataset:
    """Utterances that begin a little later, every time anew."""

    def shifted(one: Example, random: np.random.Generator) -> Example:
        by = int(random.integers(SHIFT))
        source = np.concatenate([np.full((by, one["source"].shape[1]), one["source"].min(), np.float32), one["source"]])
        return {**one, "source": source[:len(one["source"])]}

    return data.random_map(shifted, seed=3)


def errors(said: Sequence[Sequence[object]], true: Sequence[Sequence[object]]) -> float:
    """How many letters, or words, must be changed, left out or put in, as a share of how many there truly are."""
    return sum(edits(one, other) for one, other in zip(said, true, strict=True)) / max(sum(map(len, true)), 1)


def edits(one: Sequence[object], other: Sequence[object]) -> int:
    """The least number of changes that make one the other (Levenshtein 1965)."""
    costs = list(range(len(other) + 1))
    for row, mine in enumerate(one, 1):
        before, costs[0] = costs[0], row
        for column, theirs in enumerate(other, 1):
            before, costs[column] = costs[column], min(before + (mine != theirs), costs[column] + 1, costs[column - 1] + 1)
    return costs[-1]


def _sign(name: str) -> str:
    return f"<|{name}|>"
