"""Sequence to sequence by recurrent cells: strings written backwards, with the bottleneck of a single state and without it.

    python -m experiments seq2seq                            two cores: of strings of 24 letters 0.00 exactly right
                                                             without attention, 1.00 with Bahdanau's and 0.93 with Luong's
    python -m experiments seq2seq --cell LSTM --steps 800    the same, learned more slowly
"""
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp

from transformer.data import tokenizers
from transformer.data.examples import Example, example
from transformer.data.made import reversal
from transformer.data.pairs import pairs
from transformer.data.tokenizers import Tokenizer
from transformer.looking import draw_attention
from transformer.losses import sequence_to_sequence
from transformer.models.rnn import RNN, Bahdanau, Luong, Plain, Size
from transformer.recurrent import GRU, LSTM
from transformer.shows.curves import draw_lines
from transformer.training.answers import exact_match
from transformer.training.experiment import Expectation, Experiment, Show, Stages
from transformer.training.optimizers import adamw, warmup_cosine
from transformer.training.run import main

SMOKE = {"strings": 100, "held_out": 4, "state": 16, "rows": 8}
CELLS, WRITERS = {"GRU": GRU, "LSTM": LSTM}, {"no attention": Plain, "Bahdanau": Bahdanau, "Luong": Luong}
LENGTHS = [4, 8, 12, 16, 20, 24]


def experiment(embed: int = 32, state: int = 128, align: int = 32, strings: int = 40_000, held_out: int = 100, rows: int = 64,
               rate: float = 4e-3, steps: int = 500, patience: int = 3, cell: Literal["GRU", "LSTM"] = "GRU") -> Stages:
    learned = reversal.strings(strings, 2, LENGTHS[-1], seed=1)
    unseen = [text for length in LENGTHS
              for text in reversal.strings(held_out, length, length, seed=2, but=frozenset(learned))]
    tokenizer = tokenizers.characters("abcdefghijklmnopqrstuvwxyz")
    data, test = (pairs(texts, reversal.backwards(texts), tokenizer) for texts in (learned, unseen))
    by_length = exact_match(test, [len(text) for text in unseen])
    reached: dict[str, list[float]] = {}

    def against_length(model: Any, folder: Path) -> str:
        values = by_length(model, {})
        reached[name] = [values[f"exact_{length}"] for length in LENGTHS]
        draw_lines(folder / "length.png", {name: (LENGTHS, line) for name, line in reached.items()},
                   "One state holds a short string; attention looks back at a long one" if len(reached) > 1 else name,
                   "letters in the string", "strings written backwards without a mistake", level=("the gate at 24", 0.9))
        return "\n".join(["exactly right at length  " + "".join(f"{length:6d}" for length in LENGTHS),
                          *(f"{name:25s}" + "".join(f"{value:6.2f}" for value in line) for name, line in reached.items())])

    for writer in WRITERS:
        name, attends = f"{cell} {writer}", WRITERS[writer] is not Plain
        count = steps if attends else patience * steps  # what has to pass through one state is learned far more slowly
        model = RNN.of(Size(tokenizer.size, embed, state, align), WRITERS[writer], CELLS[cell])
        trained = yield Experiment(
            model=model,
            loss=sequence_to_sequence,
            data=data, held_out=test, tokenizer=tokenizer,
            rows=rows, steps=count,
            optimizer=adamw(warmup_cosine(rate, count, warmup=count // 20), decay=0.01),
            measures=[by_length],
            expects=[Expectation("exact_24", 0.9 if attends else 0.2, baseline=26.0 ** -24, above=attends)],
            corpus="random strings, backwards",
            shows=[against_length, looked_back(tokenizer, example(test, held_out * LENGTHS.index(12)))] if attends else [against_length],
            stage=name)
        reached[name] = [trained.values[f"exact_{length}"] for length in LENGTHS]


def looked_back(tokenizer: Tokenizer, one: Example) -> Show:
    """Where the writer looked for each letter of one string."""

    def show(model: Any, folder: Path) -> str:
        weights = model.attention(*(jnp.asarray(one[key])[None] for key in ("source", "target", "present")))[0]
        count = int(one["present"].sum())
        read, wrote = ([tokenizer.decode([int(i)]) or "end" for i in one[key][:count]] for key in ("source", "labels"))
        draw_attention({"The last letter is looked for first": weights[:count, :count]}, wrote, read).savefig(folder / "looked.png", dpi=120)
        return f"{''.join(read[:-1])} backwards: looked.png says where each letter was looked for"

    return show


if __name__ == "__main__":
    main(experiment)
