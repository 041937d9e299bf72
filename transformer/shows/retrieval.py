"""Texts by their vectors: encoded in batches, compared, searched; how rankings fare and what is found."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transformer.compiled import called
from transformer.data.batches import held_out_batches
from transformer.data.examples import Example, examples
from transformer.data.pairing import enclosed
from transformer.data.ranking import Index, places, recall, reciprocal, spearman, tf_idf
from transformer.data.tokenizers import Tokenizer
from transformer.training.experiment import Measure, Show


def vectors_of(model: Any, texts: Sequence[str], tokenizer: Tokenizer, length: int) -> np.ndarray:
    """A vector [text, d] of each."""
    return answers_of(model, enclosed(texts, tokenizer, length))


def answers_of(model: Any, rows: Example, most: int = 128) -> np.ndarray:
    """What a model of texts answers to each row, a batch at a time."""
    count = len(rows["tokens"])
    found = [np.asarray(called(model, batch["tokens"], present=batch["present"], kinds=batch.get("kinds")))
             for batch in held_out_batches(examples(**rows), min(most, count))]
    return np.concatenate(found)[:count]


def compared_cosines(model: Any, rows: Example) -> np.ndarray:
    """The cosine of the two texts in each row."""
    one, other = (answers_of(model, {name: rows[name][:, side] for name in ("tokens", "present")}) for side in (0, 1))
    return (one * other).sum(-1)


def rank_correlation(rows: Example) -> Measure:
    """How far the order of the cosines is that of the scores: Spearman's."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        return {"spearman": spearman(compared_cosines(model, rows), rows["score"])}

    return measure


def alike(firsts: Sequence[str], seconds: Sequence[str], rows: Example, overlaps: np.ndarray) -> Show:
    """Cosines against true scores, beside what the words in common say, and the pairs where the two differ most."""

    def show(model: Any, folder: Path) -> str:
        from matplotlib.figure import Figure

        cosines, scores = compared_cosines(model, rows), rows["score"]
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        for axes, values, name in zip(figure.subplots(1, 2), (overlaps, cosines), ("words in common", "cosine of the vectors"), strict=True):
            at = np.unique(scores.round(2))
            shown = [values[scores.round(2) == level] for level in at]
            axes.boxplot(shown, positions=at, widths=0.6 * np.diff(at, append=2).min(), showfliers=False, manage_ticks=False)
            axes.set(xlabel="true likeness", ylabel=name, title=f"{name}: Spearman {spearman(values, scores):.2f}", xlim=(-0.15, 1.15))
        figure.suptitle(f"Vectors order {len(scores)} pairs of sentences by what they say: {spearman(cosines, scores):.2f}; "
                        f"words in common mislead: {spearman(overlaps, scores):.2f}", fontsize=11)
        figure.savefig(folder / "likeness.png", dpi=130)
        apart = np.argsort(-np.abs(_levelled(overlaps) - _levelled(cosines)))[:6]
        return "\n".join(f"true {scores[at]:.2f}  cosine {cosines[at]:.2f}  words {overlaps[at]:.2f}  {firsts[at]} | {seconds[at]}"
                         for at in apart)

    return show


def _levelled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / (values.std() + 1e-9)


def mined(model: Any, queries: Sequence[str], documents: Sequence[str], tokenizer: Tokenizer, length: int) -> list[str]:
    """For each query the document that the model likes best of those that are not its own, nor say the same."""
    asked, there = (vectors_of(model, texts, tokenizer, length) for texts in (queries, documents))
    found, same = [], np.unique(documents, return_inverse=True)[1]
    for start in range(0, len(asked), 1000):
        scores = asked[start:start + 1000] @ there.T
        scores[same[start:start + 1000, None] == same] = -np.inf
        found += [documents[best] for best in scores.argmax(1)]
    return found


def found_first(documents: Sequence[str], truth: Sequence[int] | np.ndarray, tokenizer: Tokenizer, length: int, **queries: Sequence[str]) -> Measure:
    """How often, by each kind of queries, the right document comes first; and MRR."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        there, told = vectors_of(model, documents, tokenizer, length), {}
        for name, asked in queries.items():
            found = places(vectors_of(model, asked, tokenizer, length) @ there.T, truth)
            told |= {f"{name}_first": recall(found, 1), f"{name}_mrr": reciprocal(found)}
        return told

    return measure


def probed(documents: Sequence[str], classes: np.ndarray, tokenizer: Tokenizer, length: int) -> Measure:
    """What a linear map reads out of the vectors, and out of the mean of the raw embeddings that they began as."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        rows = enclosed(documents, tokenizer, length)
        raw = np.asarray(model.encoder.tokens(rows["tokens"]))
        mean = (raw * rows["present"][..., None]).sum(1) / rows["present"].sum(1, keepdims=True)
        return {"probe": _read_out(answers_of(model, rows), classes), "raw_probe": _read_out(mean, classes)}

    return measure


def _read_out(features: np.ndarray, classes: np.ndarray) -> float:
    """The share right of a least-squares classifier, learned on every second row and asked about the others."""
    inputs = np.pad(features, ((0, 0), (0, 1)), constant_values=1.0)
    wanted = np.eye(classes.max() + 1)[classes]
    square = inputs[::2].T @ inputs[::2] + 1e-4 * np.eye(inputs.shape[1])
    weights = np.linalg.solve(square, inputs[::2].T @ wanted[::2])
    return float(((inputs[1::2] @ weights).argmax(1) == classes[1::2]).mean())


def searched(documents: Sequence[str], truth: Sequence[int] | np.ndarray, tokenizer: Tokenizer, length: int, **queries: Sequence[str]) -> Show:
    """The vectors saved once, loaded again and searched; how far down the right document is, by words and by vectors."""

    def show(model: Any, folder: Path) -> str:
        from matplotlib.figure import Figure

        Index(list(documents), vectors_of(model, documents, tokenizer, length)).save(folder / "vectors.npz")
        index, lines = Index.load(folder / "vectors.npz"), []
        figure = Figure(figsize=(4.4 * len(queries), 3.5), layout="constrained")
        for axes, (name, asked) in zip(figure.subplots(1, len(queries), squeeze=False)[0], queries.items(), strict=True):
            vectors = vectors_of(model, asked, tokenizer, length)
            first = np.arange(1, 21)
            for scores, label, color in ((tf_idf(asked, documents), "TF-IDF", "tab:gray"), (vectors @ index.vectors.T, "vectors", "tab:blue")):
                found = places(scores, truth)
                axes.plot(first, [recall(found, int(at)) for at in first], color=color, label=f"{label}: {recall(found, 1):.2f} found first")
            axes.set(xlabel="documents looked at", ylabel="share of queries answered", ylim=(-0.03, 1.05), xticks=(1, 5, 10, 15, 20),
                     title=name.replace("_", " "))
            axes.legend(loc="center right", fontsize=9)
            best, scores = index.search(vectors[:3], 2)
            for query, documents_found, own in zip(asked, best, scores, strict=False):
                lines.append(f"{query!r}: " + "; ".join(f"{score:.2f} {_line(index.documents[at])!r}"
                                                        for at, score in zip(documents_found, own, strict=True)))
        figure.suptitle(f"Of {len(documents)} documents, how many must be read to find the right one", fontsize=11)
        figure.savefig(folder / "search.png", dpi=130)
        return "\n".join(lines)

    return show


def _line(text: str, most: int = 90) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
