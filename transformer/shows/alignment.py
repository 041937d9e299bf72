"""Which word of the source each word of the answer came from: by attention, by erasure, and how often that is so in truth."""
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from grain import MapDataset

from transformer.compiled import called, encoded
from transformer.data.batches import held_out_batches
from transformer.data.tokenizers import Tokenizer
from transformer.decoding.engine import generate
from transformer.looking import attention_maps, draw_attention, erasure
from transformer.training.experiment import Measure, Show

Maps = Callable[[Any, dict[str, Any]], jax.Array]  # of a model and a batch: [b, t, s]


def attended(model: Any, batch: dict[str, Any]) -> jax.Array:
    """The last layer's attention across, its heads averaged."""
    maps = attention_maps(model, batch["source"], batch["target"], present=batch["present"])
    return maps["decoder.cross"][-1].mean(1)


def erased(blank: int) -> Maps:
    """What is lost without each word of the source."""

    def maps(model: Any, batch: dict[str, Any]) -> jax.Array:
        return erasure(model, batch["source"], batch["target"], batch["labels"], batch["present"], blank)

    return maps


def agreement(name: str, maps: Maps, dataset: MapDataset, gold: Sequence[Sequence[int]], content: Sequence[Sequence[bool]]) -> Measure:
    """How often the strongest word of the source is the right one, for words of the answer that have content."""
    compiled = jax.jit(maps)

    def measure(model: Any, values: Any) -> dict[str, float]:
        strongest = np.concatenate([np.asarray(compiled(model, {key: jnp.asarray(x) for key, x in batch.items()}).argmax(-1))
                                    for batch in held_out_batches(dataset, min(len(dataset), 128))])
        hits = [at == truth for row, words, counts in zip(strongest, gold, content, strict=False)
                for at, truth, matters in zip(row, words, counts, strict=False) if matters]
        return {name: float(np.mean(hits))}

    return measure


def mapped(tokenizer: Tokenizer, example: Mapping[str, Any], kinds: Mapping[str, Maps], file: str, gold: Sequence[int] = ()) -> Show:
    """A picture for one sentence of what each kind of map says; where the truth is known it is framed."""

    def show(model: Any, folder: Path) -> str:
        batch = {name: jnp.asarray(array)[None] for name, array in example.items()}
        source, labels = (_words(tokenizer, example[name], int(example[there].sum()))
                          for name, there in (("source", "present"), ("labels", "weights")))
        frames = np.zeros((len(labels) - 1, len(source)), bool)
        frames[np.arange(len(gold)), np.asarray(gold, int)] = True
        drawn = {}
        for kind, maps in kinds.items():
            values = np.maximum(np.asarray(maps(model, batch))[0, :len(labels) - 1, :len(source)], 0)
            right = f": {(values.argmax(-1) == np.asarray(gold)).mean():.0%} of the words\nfrom where they should be" if len(gold) else ""
            drawn[kind + right] = values / np.maximum(values.sum(-1, keepdims=True), 1e-9)
        figure = draw_attention(drawn, labels[:-1], source, [jnp.asarray(frames)] * len(kinds))
        for axes in figure.axes:
            axes.tick_params(axis="x", rotation=60)
        figure.savefig(folder / file, dpi=120, bbox_inches="tight")  # slanted words need more room than was left
        return f"{file}: " + "; ".join(title.replace("\n", " ") for title in drawn)

    return show


def trace(tokenizer: Tokenizer, text: str, most: int = 24) -> Show:
    """The answer to a text as it is written: at each step the likeliest words, and where the model looks."""

    def show(model: Any, folder: Path) -> str:
        source = jnp.asarray(np.append(tokenizer(text), tokenizer.end))[None]
        memory = encoded(model, source)
        answer = generate(model, [[tokenizer.start]], most=most, ends=tokenizer.end, memory=memory).texts()[0][0]
        fed = jnp.asarray([[tokenizer.start, *answer[:-1]]])
        chances, likeliest = jax.lax.top_k(jax.nn.softmax(called(model, source, fed))[0], 3)
        looks = np.asarray(attended(model, {"source": source, "target": fed, "present": None}))[0]
        words = _words(tokenizer, source[0], source.shape[1])
        lines = [f"{text}  ->  {tokenizer.decode(answer)}"]
        for step, chosen in enumerate(answer):
            said = ", ".join(f"{_words(tokenizer, [word], 1)[0]} {chance:.0%}"
                             for word, chance in zip(likeliest[step].tolist(), chances[step].tolist(), strict=True))
            lines.append(f"  {step + 1:2d}. {_words(tokenizer, [chosen], 1)[0]:12s} of {said:44s} looking at {words[looks[step].argmax()]!r}")
        return "\n".join(lines)

    return show


def _words(tokenizer: Tokenizer, ids: Any, count: int) -> list[str]:
    return [tokenizer.decode([int(word)], specials=True) for word in ids[:count]]
