"""What an encoder-decoder writes of what it hears, and how much of that is wrong."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from grain import MapDataset

from transformer.compiled import called, encoded
from transformer.data.batches import held_out_batches
from transformer.data.speech import TOLD, errors
from transformer.data.tokenizers import Tokenizer
from transformer.decoding.carried import ready
from transformer.decoding.engine import generate
from transformer.training.experiment import Measure

ROWS = 64


def written(model: Any, dataset: MapDataset, tokenizer: Tokenizer) -> tuple[list[str], np.ndarray]:
    """The text of each utterance, its language and task given; and which token says its language, if it is not given [n]."""
    model, texts, languages = ready(model), list[str](), list[np.ndarray]()
    for batch in held_out_batches(dataset, ROWS):
        languages.append(np.asarray(called(model, batch["source"], batch["target"][:, :1]))[:, 0].argmax(-1))
        memory = encoded(model, batch["source"])
        said = generate(model, batch["target"][:, :TOLD], most=batch["labels"].shape[1] - TOLD, memory=memory, ends=tokenizer.end)
        texts += [tokenizer.decode(text) for (text,) in said.texts()]
    return texts[:len(dataset)], np.concatenate(languages)[:len(dataset)]


def misheard(dataset: MapDataset, tokenizer: Tokenizer, texts: Sequence[str], name: str = "") -> Measure:
    """The shares of wrong letters and words, and of languages told rightly from the sound; with a name before them, if given."""
    signs = np.asarray([row["labels"][0] for row in (dataset[at] for at in range(len(dataset))) if row])

    def measure(model: Any, values: Any) -> dict[str, float]:
        said, languages = written(model, dataset, tokenizer)
        words = errors([text.split() for text in said], [text.split() for text in texts])
        found = {"letters_wrong": errors(said, texts), "words_wrong": words, "language": float((languages == signs).mean())}
        return {f"{name}_{key}" if name else key: value for key, value in found.items()}

    return measure


def nearest(learned: MapDataset, asked: MapDataset, texts: Sequence[str], true: Sequence[str]) -> float:
    """The share of units (letters, or words) wrong for whoever writes what was said in the most similar sound of the same language and task."""

    def pooled(dataset: MapDataset) -> tuple[np.ndarray, np.ndarray]:
        rows = [row for row in (dataset[at] for at in range(len(dataset))) if row]
        frames = np.stack([row["source"][:len(row["source"]) // 8 * 8] for row in rows])
        return frames.reshape(len(rows), -1, 8, frames.shape[-1]).mean(2).reshape(len(rows), -1), np.stack([row["labels"][:2] for row in rows])

    (known, what), (new, wanted) = pooled(learned), pooled(asked)
    apart = np.square(known).sum(1)[None] - 2 * new @ known.T
    apart = np.where((what[None] == wanted[:, None]).all(-1), apart, np.inf)
    return errors([texts[at] for at in apart.argmin(1)], true)
