"""What a person wants to see of a trained model: text for the terminal, pictures for the run's folder."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from grain import MapDataset

from transformer.compiled import encoded
from transformer.data.batches import held_out_batches
from transformer.data.examples import Example
from transformer.data.tokenizers import Tokenizer
from transformer.decoding import Sample, generate
from transformer.losses import Batch, Loss
from transformer.training.experiment import Measure, Show


def continuation(tokenizer: Tokenizer, prompt: str, count: int, temperature: float = 0.7) -> Show:
    """How a decoder goes on from a prompt."""

    def show(model: Any, folder: Path) -> str:
        tokens = tokenizer.encode(prompt)
        room = (getattr(model, "longest", None) or len(tokens) + count) - len(tokens)
        text = generate(model, [tokens], most=min(count, room), strategy=Sample(temperature))
        return f"{prompt}|{tokenizer.decode(text.tokens[0, 0])}"

    return show


def guesses(tokenizer: Tokenizer, example: Example, most: int = 8) -> Show:
    """What an encoder believes stands under each mask of an example, likeliest first, with the truth."""

    def show(model: Any, folder: Path) -> str:
        tokens, present, kinds = (example[name][None] for name in ("tokens", "present", "kinds"))
        hidden = encoded(model, tokens, present=present, kinds=kinds)
        there = hidden[:, example["masked"]]
        chances, words = jax.lax.top_k(jax.nn.softmax(model.words(there))[0], 3)
        lines = [tokenizer.decode(example["tokens"][example["present"]].tolist(), specials=True)]
        for slot in range(min(most, int(example["weights"].sum()))):
            best = ", ".join(f"{tokenizer.decode([int(word)])!r} {float(chance):.0%}"
                             for word, chance in zip(words[slot], chances[slot], strict=True))
            lines.append(f"  at {example['masked'][slot]:3d}, truly {tokenizer.decode([int(example['labels'][slot])])!r}: {best}")
        return "\n".join(lines)

    return show


def answer(tokenizer: Tokenizer, example: Example) -> Show:
    """What an encoder-decoder writes for a source, under what it should have written."""

    def show(model: Any, folder: Path) -> str:
        source, present = jnp.asarray(example["source"])[None], jnp.asarray(example["present"])[None]
        memory = encoded(model, source, present=present)
        text = generate(model, [example["target"][:1]], most=len(example["labels"]), memory=memory, seen=present)
        lines = (("source", example["source"]), ("truth ", example["labels"]), ("model ", text.tokens[0, 0]))
        return "\n".join(f"{name}: {tokenizer.decode([int(i) for i in ids], specials=True)}" for name, ids in lines)

    return show


def rescaled(name: str, of: str, factor: float) -> Measure:
    """A held-out number in another unit: nats per token as bits per byte, say."""

    def measure(model: Any, held_out: Mapping[str, float]) -> dict[str, float]:
        return {name: held_out[of] * factor}

    return measure


def on(dataset: MapDataset, loss: Loss, rows: int, prefix: str) -> Measure:
    """The numbers of another loss or on other data, their names beginning with `prefix`."""

    @jax.jit
    def sums(model: Any, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        total, weight, metrics = loss(model, batch, None)
        return {"loss": (total, weight), **metrics}

    def measure(model: Any, held_out: Mapping[str, float]) -> dict[str, float]:
        batches = held_out_batches(dataset, rows)
        found = [sums(model, batches[index] or {}) for index in range(len(batches))]
        totals = jax.tree.map(lambda *values: float(sum(values)), *found)
        return {prefix + name: total / max(weight, 1e-8) for name, (total, weight) in totals.items()}

    return measure
