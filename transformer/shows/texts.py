"""What an encoder says of texts: their class, the names in them, the place of an answer; coloured on a terminal and as pictures."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from grain import MapDataset

from transformer.compiled import called
from transformer.data.batches import held_out_batches
from transformer.data.examples import example
from transformer.data.files import Question, Tagged
from transformer.data.labelled import question_example, tags_of
from transformer.data.made.names import f1, spans
from transformer.data.tokenizers import Tokenizer
from transformer.losses import best_spans, span_logits
from transformer.training.experiment import Measure, Show

COLORS = ("#bcd9f5", "#ffd9a8", "#c6ecc0", "#efc4e3", "#f7f0a5", "#d5cbf2")
TERMINAL = (44, 43, 42, 45, 46, 41)  # backgrounds that are like them
WRONG = "#c62828"


@dataclass(frozen=True)
class Piece:
    """Some words of a line: in the colour of a kind, or of none; a note above, and whether that is wrong."""

    text: str
    kind: int | None = None
    note: str = ""
    wrong: bool = False


def confusion(labels: Sequence[str], dataset: MapDataset, rows: int, others: Callable[[], Mapping[str, float]]) -> Show:
    """How often each true class was given each class, beside what `others` get right."""

    def show(model: Any, folder: Path) -> str:
        table = np.zeros((len(labels), len(labels)), int)
        for batch in held_out_batches(dataset, rows):
            there = batch["present"].reshape(len(batch["label"]), -1).any(-1)
            given = np.asarray(called(model, batch["tokens"], present=batch["present"])).argmax(-1)
            np.add.at(table, (batch["label"][there], given[there]), 1)
        scores = {**others(), "encoder": float(np.trace(table) / table.sum())}
        best = max(score for name, score in scores.items() if name != "encoder")
        draw_confusion(folder / "confusion.png", labels, table, scores,
                       f"The encoder gets {scores['encoder']:.1%} right, the best n-grams {best:.1%}")
        width = max(map(len, labels))
        lines = [f"truly {label:{width}}: " + "  ".join(f"{other} {count}" for other, count in zip(labels, row, strict=True))
                 for label, row in zip(labels, table, strict=True)]
        return "\n".join([*lines, "right: " + ", ".join(f"{name} {score:.3f}" for name, score in scores.items())])

    return show


def draw_confusion(path: Path, labels: Sequence[str], table: np.ndarray, scores: Mapping[str, float], title: str) -> None:
    """A square for each true class and each that was said, and a bar for what each way gets right, the model's own last."""
    from matplotlib.figure import Figure

    side = 1.4 + 0.45 * max(len(labels), 3)
    figure = Figure(figsize=(side + 4.2, side + 0.4), layout="constrained")
    squares, bars = figure.subplots(1, 2, width_ratios=(side, 3.6))
    squares.imshow(table / np.maximum(table.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        squares.text(column, row, f"{count}", ha="center", va="center",
                     color="white" if count > table[row].sum() / 2 else "black")
    squares.set(xticks=range(len(labels)), xticklabels=labels, yticks=range(len(labels)), yticklabels=labels, xlabel="said",
                ylabel="truly")
    bars.barh(list(scores), list(scores.values()), color=["#bbbbbb"] * (len(scores) - 1) + ["tab:blue"])
    for place, score in enumerate(scores.values()):
        bars.text(score + 0.01, place, f"{score:.3f}", va="center", fontsize=9)
    bars.set(xlim=(0, 1.18), ylim=(-1, len(scores)), xlabel="share right")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=140)


def span_f1(sentences: Sequence[Tagged], dataset: MapDataset, classes: list[str], rows: int) -> Measure:
    """How well whole names are found, with their kinds: `dataset` holds the sentences as examples, in their order."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        given = []
        for batch in held_out_batches(dataset, rows):
            given += list(np.asarray(called(model, batch["tokens"], present=batch["present"])).argmax(-1))
        tags = [tags_of(given[at], example(dataset, at), classes, len(one.words)) for at, one in enumerate(sentences)]
        return {"span_f1": f1([one.tags for one in sentences], tags)}

    return measure


def tagged_sentences(sentences: Sequence[Tagged], dataset: MapDataset, classes: list[str]) -> Show:
    """The first sentences of a dataset, what was found in them coloured by its kind, with what it truly is where that is wrong."""
    kinds = sorted({tag.partition("-")[2] or tag for tag in classes if tag != "O"})

    def show(model: Any, folder: Path) -> str:
        lines, right, total = [], 0, 0
        for at, one in enumerate(sentences):
            row = example(dataset, at)
            given = np.asarray(called(model, row["tokens"][None], present=row["present"][None]))[0].argmax(-1)
            found, truth = spans(tags_of(given, row, classes, len(one.words))), spans(one.tags)
            right, total = right + len(found & truth), total + len(truth)
            lines.append(_coloured(one.words, found, truth, kinds))
        draw_lines(lines, kinds, f"{right} of these {total} names, none seen before, are found", folder / "entities.png")
        return "\n".join([terminal([Piece(kind, place) for place, kind in enumerate(kinds)]), *map(terminal, lines)])

    return show


def answers(questions: Sequence[Question], tokenizer: Tokenizer, length: int) -> Show:
    """Passages with the answers that were found in them, and what they truly are where that is wrong; only where there is one."""

    def show(model: Any, folder: Path) -> str:
        lines, right = [], 0
        for one in questions:
            row = question_example(one, tokenizer, length)
            if row is None:
                continue
            batch = {name: jnp.asarray(value)[None] for name, value in row.items()}
            first, last = (int(place[0]) for place in best_spans(span_logits(model, batch)))
            offsets = tokenizer.core.encode(one.passage, add_special_tokens=False).offsets
            before = int(row["passage"].argmax())
            begin, end = offsets[first - before][0], offsets[last - before][1]
            wrong = (first, last) != (row["first"], row["last"])
            right += not wrong
            found = Piece(one.passage[begin:end], int(wrong), f"truly {one.answers[0].text}" if wrong else "", wrong)
            lines.append([Piece(word) for word in one.question.split()])
            lines.append([*map(Piece, one.passage[:begin].split()), found, *map(Piece, one.passage[end:].split())])
        draw_lines(lines, ("right", "wrong"), f"{right} of {len(lines) // 2} questions about facts never seen are answered",
                   folder / "answers.png")
        return "\n".join(map(terminal, lines))

    return show


def _coloured(words: Sequence[str], found: set[tuple[int, int, str]], truth: set[tuple[int, int, str]],
              kinds: Sequence[str]) -> list[Piece]:
    begins = {begin: (end, kind) for begin, end, kind in found}
    missed = {begin: (end, kind) for begin, end, kind in truth - found}
    line, at = [], 0
    while at < len(words):
        if at in begins:
            end, kind = begins[at]
            wrong = (at, end, kind) not in truth
            line.append(Piece(" ".join(words[at:end]), kinds.index(kind), f"not {kind}" if wrong else "", wrong))
            at = end
        else:
            line.append(Piece(words[at], None, f"missed {missed[at][1]}" if at in missed else "", at in missed))
            at += 1
    return line


def terminal(line: Sequence[Piece]) -> str:
    """A line with coloured backgrounds, and notes in brackets."""
    said = []
    for piece in line:
        note = f" [{piece.note}{'!' if piece.wrong else ''}]" if piece.note else ""
        said.append(piece.text if piece.kind is None else f"\033[30;{TERMINAL[piece.kind % 6]}m{piece.text}{note}\033[0m")
    return " ".join(said)


def draw_lines(lines: Sequence[Sequence[Piece]], kinds: Sequence[str], title: str, path: Path, width: int = 96) -> None:
    """Lines of text with coloured pieces and a legend of what the colours mean."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    placed, row = [], 0.0
    for line in lines:
        column, high = 0, any(piece.note for piece in line)
        for piece in line:
            taken = max(len(piece.text), int(0.75 * len(piece.note)))
            if column + taken > width:
                column, row = 0, row + (1.9 if high else 1.1)
            placed.append((column, row, piece))
            column += taken + 1
        row += 2.1 if high else 1.5
    # A letter of 9 points is .0753 inches wide: then columns are letters.
    height = 1.0 + 0.25 * row
    figure = Figure(figsize=((width + 2) * 0.0753 / 0.96, height))
    axes = figure.add_axes((0.02, 0.0, 0.96, 1 - 0.75 / height))
    axes.set(xlim=(0, width + 2), ylim=(row, -1.2))
    axes.axis("off")
    for column, line_at, piece in placed:
        box = None if piece.kind is None else {"facecolor": COLORS[piece.kind % 6], "edgecolor": "none", "pad": 1.5}
        axes.text(column, line_at, piece.text, family="monospace", fontsize=9, va="center", bbox=box)
        if piece.note:
            axes.text(column, line_at - 0.8, piece.note, fontsize=7, va="center", color=WRONG if piece.wrong else "#444444")
    patches = [Patch(facecolor=COLORS[place % 6], label=kind) for place, kind in enumerate(kinds)]
    figure.text(0.02, 1 - 0.3 / height, title, fontsize=11, weight="bold")
    figure.legend(handles=patches, loc="upper left", bbox_to_anchor=(0.01, 1 - 0.33 / height), ncols=len(kinds), frameon=False,
                  fontsize=9)
    figure.savefig(path, dpi=130)
