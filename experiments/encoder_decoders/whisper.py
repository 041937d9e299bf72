"""Whisper: from sound to text, written down as it is said or translated, as a token tells it; by speakers never heard.

    python -m experiments whisper                      two cores: .004 of letters wrong, .11 of strange speakers'
    python -m experiments whisper --voice espeak       numbers in five languages by espeak-ng: .014 of words wrong
                                                       in voices never heard
    python -m experiments whisper --folder recordings  your own: one.wav, and what it says in one.txt (--skip: without broken
                                                       ones; --seconds: room for each)
"""
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformer.data import speech, tokenizers
from transformer.data.made import espeak, vowels
from transformer.losses import sequence_to_sequence
from transformer.mistakes import Mistake
from transformer.models.whisper import Size, Whisper
from transformer.shows.speech import listened
from transformer.training.experiment import Expectation, Experiment
from transformer.training.hearing import misheard, nearest
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "utterances": 40, "unseen": 8, "rows": 8}
VOICES = ("formants", "espeak")
UNITS: dict[str, Callable[[str], Any]] = {"letters_wrong": str, "words_wrong": str.split}


def experiment(layers: int = 2, embed: int = 96, heads: int = 4, mlp: int = 256, length: int = 32, seconds: int = 2, rows: int = 16,
               rate: float = 4e-3, dropout: float = 0.0, steps: int = 1500, utterances: int = 5000, unseen: int = 200,
               voice: str | None = None, folder: Path | None = None, skip: bool | None = None) -> Experiment:
    if voice not in (None, *VOICES):
        raise Mistake(f"there is no voice {voice!r}; there are {' and '.join(VOICES)}")
    if folder:
        recorded = speech.folder(folder, seconds, bool(skip))
        if len(recorded) < 10:
            raise Mistake(f"{folder} holds {len(recorded)} recordings, of which every tenth is held out: give ten at least")
        learned, tried = [one for at, one in enumerate(recorded) if at % 10 != 9], {"": recorded[9::10]}
    elif voice == "espeak":
        learned = espeak.utterances(utterances, seed=0)
        tried = {"": espeak.utterances(unseen, seed=1), "never_heard": espeak.utterances(unseen, 2, espeak.NEVER_HEARD)}
    else:
        learned = vowels.utterances(utterances, seed=0)
        tried = {"": vowels.utterances(unseen, seed=1), "strange": vowels.utterances(unseen, 2, vowels.STRANGE)}
    every = [*learned, *(one for some in tried.values() for one in some)]
    tokenizer = speech.signed(tokenizers.characters([one.text for one in every]), every)
    data = speech.heard(learned, tokenizer, seconds, length)
    tests = {name: speech.heard(some, tokenizer, seconds, length) for name, some in tried.items()}
    texts = {name: [one.text for one in some] for name, some in tried.items()}
    size = Size(tokenizer.size, frames=50 * seconds, length=length, layers=layers, embed=embed, heads=heads, mlp=mlp)
    model = Whisper.of(size, dropout=dropout)

    def expected(measure: str, most: float, name: str) -> Expectation:
        def guessed() -> float:
            known, true = ([UNITS[measure](text) for text in some] for some in ([one.text for one in learned], texts[name]))
            return nearest(data, tests[name], known, true)

        return Expectation(f"{name}_{measure}" if name else measure, None if folder else most, guessed)

    bounds = {"": ("letters_wrong", 0.05), "strange": ("letters_wrong", 0.15), "never_heard": ("words_wrong", 0.15)}
    return Experiment(
        model=model, loss=sequence_to_sequence, data=speech.later(data), held_out=tests[""], tokenizer=tokenizer, rows=rows, steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.75),
        corpus=f"recordings in {folder.name}" if folder else f"speech by {voice or VOICES[0]}",
        measures=[misheard(tests[name], tokenizer, texts[name], name) for name in tests],
        expects=[expected(*bounds[name], name) for name in tests],
        shows=[listened(tried[name], tests[name], tokenizer) for name in list(tests)[-1:]])


if __name__ == "__main__":
    main(experiment)
