"""What an encoder guesses under its masks: in words, and against the exact chances where they are known."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, example
from transformer.data.tokenizers import Tokenizer
from transformer.shows.texts import Piece, draw_lines, terminal
from transformer.training.experiment import Show

KINDS = ("masked", "replaced", "left as it was")


def masked_lines(tokenizer: Tokenizer, dataset: MapDataset, rows: Sequence[int]) -> Show:
    """Examples as the model reads them; over each token that was chosen the truth and the likeliest guess."""

    def show(model: Any, folder: Path) -> str:
        lines, right, total = [], 0, 0
        for row in rows:
            one = example(dataset, row)
            chances = np.asarray(jax.nn.softmax(_logits(model, one)))[0]
            guesses = chances.argmax(-1)
            asked = int(one["weights"].sum())
            right, total = right + int((guesses == one["labels"])[:asked].sum()), total + asked
            slots = {int(place): slot for slot, place in enumerate(one["masked"][:asked])}
            lines.append([_piece(tokenizer, one, place, slots, guesses, chances) for place in range(int(one["present"].sum()))])
        draw_lines(lines, KINDS, f"{right} of {total} hidden words guessed, from both sides (truth: guess)", folder / "masks.png", 100)
        return "\n".join(map(terminal, lines))

    return show


def _piece(tokenizer: Tokenizer, one: Example, place: int, slots: dict[int, int], guesses: np.ndarray, chances: np.ndarray) -> Piece:
    seen = int(one["tokens"][place])
    text = tokenizer.core.id_to_token(seen) or "?"
    if place not in slots:
        return Piece(text)
    slot = slots[place]
    truth, guess = int(one["labels"][slot]), int(guesses[slot])
    kind = 0 if seen == tokenizer.mask else 2 if seen == truth else 1
    note = f"{tokenizer.core.id_to_token(truth)}: {tokenizer.core.id_to_token(guess)} {chances[slot, guess]:.0%}"
    return Piece(text, kind, note, guess != truth)


def against_exact(dataset: MapDataset, both: np.ndarray, before: np.ndarray, first: int, rows: int = 100) -> Show:
    """The model's chances of each symbol beside the exact ones from both sides, and beside those from the left alone."""

    def show(model: Any, folder: Path) -> str:
        from matplotlib.figure import Figure

        batch = {name: np.stack([example(dataset, at)[name] for at in range(min(rows, len(dataset)))]) for name in
                 ("tokens", "present", "masked", "weights")}
        symbols = both.shape[-1]
        given = jax.nn.softmax(_logits_of(model, batch)[..., first : first + symbols])
        asked = batch["weights"] > 0
        given = np.asarray(given)[asked].ravel()
        figure = Figure(figsize=(8.4, 4.4), layout="constrained")
        said = []
        for axes, exact, name in zip(figure.subplots(1, 2, sharey=True), (both, before), ("both sides", "the left alone"), strict=True):
            true = exact[: len(asked)][asked].ravel()
            agreement = float(np.corrcoef(true, given)[0, 1])
            axes.plot([0, 1], [0, 1], color="tab:orange", lw=1)
            axes.scatter(true, given, s=5, alpha=0.35, color="tab:blue", linewidths=0)
            axes.set(title=f"known from {name}: correlation {agreement:.3f}", xlabel="exact chance of a symbol")
            said.append(f"exact chances from {name}: correlation {agreement:.3f}")
        figure.axes[0].set_ylabel("the model's chance of it")
        figure.suptitle("The encoder knows what both sides say, not just the left one")
        figure.savefig(folder / "chances.png", dpi=130)
        return "the model's chances under the masks, beside " + "; ".join(said)

    return show


def _logits(model: Any, one: Example) -> jax.Array:
    return _logits_of(model, {name: one[name][None] for name in ("tokens", "present", "kinds", "masked") if name in one})


@jax.jit
def _logits_of(model: Any, batch: Example) -> jax.Array:
    hidden = model.encode(batch["tokens"], present=batch["present"], kinds=batch.get("kinds"))
    return model.words(jnp.take_along_axis(hidden, batch["masked"][:, :, None], axis=1))
