"""What a person wants to see of a trained model: text for the terminal, pictures for the run's folder."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from transformer.data.examples import Example
from transformer.data.tokenizers import Tokenizer
from transformer.decoding.sampling import continued
from transformer.training.experiment import Measure, Show


def continuation(tokenizer: Tokenizer, prompt: str, count: int, temperature: float = 0.7) -> Show:
    """How a decoder goes on from a prompt."""

    def show(model: Any, folder: Path) -> str:
        tokens = jnp.asarray(tokenizer.encode(prompt))[None]
        memory = model.start(1, tokens.shape[1] + count)
        text = jax.jit(continued, static_argnums=3)(model, tokens, memory, count, jax.random.key(0), temperature)
        return f"{prompt}|{tokenizer.decode(text[0].tolist())}"

    return show


def guesses(tokenizer: Tokenizer, example: Example, most: int = 8) -> Show:
    """What an encoder believes stands under each mask of an example, likeliest first, with the truth."""

    def show(model: Any, folder: Path) -> str:
        hidden = model.encode(*(jnp.asarray(example[name])[None] for name in ("tokens",)),
                              present=jnp.asarray(example["present"])[None], kinds=jnp.asarray(example["kinds"])[None])
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
        memory = model.start(model.encode(source, present=present), len(example["labels"]), present)
        begin = jnp.asarray(example["target"])[None, :1]
        text = jax.jit(continued, static_argnums=3)(model, begin, memory, len(example["labels"]))
        lines = (("source", example["source"]), ("truth ", example["labels"]), ("model ", text[0]))
        return "\n".join(f"{name}: {tokenizer.decode([int(i) for i in ids], specials=True)}" for name, ids in lines)

    return show


def rescaled(name: str, of: str, factor: float) -> Measure:
    """A held-out number in another unit: nats per token as bits per byte, say."""

    def measure(model: Any, held_out: Mapping[str, float]) -> dict[str, float]:
        return {name: held_out[of] * factor}

    return measure
