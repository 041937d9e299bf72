"""One word, two meanings: whether a vector tells which, where it depends on what stands around and where it does not."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transformer.compiled import encoded
from transformer.data.labelled import texts_with_class
from transformer.data.linear import logistic
from transformer.data.made.senses import SENSES, Sense
from transformer.data.tokenizers import Tokenizer
from transformer.training.experiment import Measure, Show


def vectors_of(model: Any, sentences: Sequence[Sense], tokenizer: Tokenizer, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the ambiguous word of each sentence the vector that the encoder gives it there, and that of the table."""
    dataset = texts_with_class([one.text for one in sentences], np.zeros(len(sentences)), tokenizer, length)
    rows = [row for at in range(len(dataset)) if (row := dataset[at])]
    tokens, present = (np.stack([row[name] for row in rows]) for name in ("tokens", "present"))
    words = np.array([tokenizer.encode(one.word)[0] for one in sentences])
    place = (tokens == words[:, None]).argmax(1)
    hidden = np.asarray(encoded(model, tokens, present=present))
    return hidden[np.arange(len(rows)), place], np.asarray(model.encoder.tokens.table)[words]


def probed(sentences: Sequence[Sense], tokenizer: Tokenizer, length: int) -> Measure:
    """How often a linear probe of each word, learned on half of the sentences, tells its meaning in the other half."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        found = vectors_of(model, sentences, tokenizer, length)
        second = np.array([one.second for one in sentences]).astype(int)
        words, half = np.array([one.word for one in sentences]), np.arange(len(sentences)) < len(sentences) // 2
        right = np.zeros((2, len(sentences)), bool)
        for word in sorted(set(words)):
            known, asked = ((words == word) & side for side in (half, ~half))
            if known.any() and asked.any():
                for row, vectors in zip(right, found, strict=True):
                    row[asked] = logistic(vectors[known], second[known], vectors[asked]) == second[asked]
        return {"contextual": float(right[0, ~half].mean()), "static": float(right[1, ~half].mean())}

    return measure


def two_meanings(sentences: Sequence[Sense], tokenizer: Tokenizer, length: int, shown: Sequence[str], measure: Measure) -> Show:
    """Some words' vectors in two directions, a colour for each meaning; the one vector of the table is a cross."""

    def show(model: Any, folder: Path) -> str:
        from matplotlib.figure import Figure

        vectors, static = vectors_of(model, sentences, tokenizer, length)
        values = measure(model, {})
        figure = Figure(figsize=(3.6 * len(shown), 4), layout="constrained")
        for axes, word in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
            own = np.array([one.word == word for one in sentences])
            second = np.array([one.second for one in sentences])[own]
            middle = vectors[own].mean(0)
            directions = np.linalg.svd(vectors[own] - middle, full_matrices=False)[2][:2].T
            flat = (vectors[own] - middle) @ directions
            for meaning, color in enumerate(("tab:blue", "tab:orange")):
                axes.scatter(*flat[second == meaning].T, s=14, color=color, label=f"{word} ({SENSES[word][meaning]})")
            axes.scatter(*((static[own][:1] - middle) @ directions).T, marker="x", s=70, color="black", label="in the table")
            axes.set(xticks=[], yticks=[], title=word)
            axes.legend(fontsize=8)
        title = f"In its sentence a word's vector tells what it means ({values['contextual']:.1%}); in the table it cannot ({values['static']:.1%})"
        figure.suptitle(title)
        figure.savefig(folder / "meanings.png", dpi=130)
        return title

    return show
