"""Texts as an encoder's examples, with what is to be said of them: a class, a class for every word, the place of an answer.

All begin with the start token and close each part with the end token, as BERT's do: [CLS] a text [SEP].
"""

import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, examples, stacked
from transformer.data.files import Pair, Question, Scored, labelled, numbers, pairs, scored
from transformer.data.pairing import joined
from transformer.data.tokenizers import Tokenizer
from transformer.mistakes import Mistake


def parted(
    items: Sequence[Any], text: Callable[[Any], str], labels: Callable[[Any], Iterable[str]] = lambda item: ()
) -> tuple[list[Any], list[Any]]:
    """To learn from, and held out: one in ten, chosen by its text alone, so that no text is on both sides.

    What has a label that would only be held out is learned.
    """
    away = {one for one in map(text, items) if zlib.crc32(one.encode()) % 10 == 0}
    known = {label for item in items if text(item) not in away for label in labels(item)}
    away -= {text(item) for item in items if not known.issuperset(labels(item))}
    learned, held_out = ([item for item in items if (text(item) in away) == out] for out in (False, True))
    if not learned or not held_out:
        raise Mistake(f"Of {len(items)} examples none can be held out: give more, some dozens at least.")
    return learned, held_out


def parted_pairs(path: Path, found: Sequence[Pair] | Sequence[Scored]) -> list[list[Any]]:
    """To learn from, and held out, a tenth: pairs that share a text, or hang together by others that do, are on one side."""
    groups = _connected(found)
    sizes, room, away = Counter(groups), len(found) / 10, set[str]()
    if len(sizes) < 2:
        raise Mistake(f"{path} holds {len(found)} pairs that all hang together by the texts they share, so that none can be held out: "
                      "give pairs of other texts.")
    for group in sorted(sizes, key=lambda text: zlib.crc32(text.encode())):
        if sizes[group] <= room:
            away.add(group)
            room -= sizes[group]
    away = away or {min(sizes, key=lambda group: sizes[group])}
    return [[pair for pair, group in zip(found, groups, strict=True) if (group in away) == out] for out in (False, True)]


def _connected(found: Sequence[Pair] | Sequence[Scored]) -> list[str]:
    """For each pair the first, in the alphabet, of all texts that it hangs together with."""
    before: dict[str, str] = {}

    def first(text: str) -> str:
        while before.setdefault(text, text) != text:
            before[text] = text = before[before[text]]
        return text

    for pair in found:
        one, other = sorted((first(pair.first), first(pair.second)))
        before[other] = one
    return [first(pair.first) for pair in found]


def labelled_texts(path: Path) -> tuple[tuple[list[str], np.ndarray], tuple[list[str], np.ndarray]]:
    """A user's texts and the numbers of their labels: to learn from, and held out."""
    sides = parted(labelled(path), lambda one: one.text, lambda one: [one.label])
    known = sorted({one.label for one in sides[0]})
    learned, away = (([one.text for one in side], np.array(numbers(path, ((one.label, one.line) for one in side), known)))
                     for side in sides)
    return learned, away


def scored_pairs(path: Path) -> tuple[Any, Any]:
    """A user's pairs of texts and how alike they are, from 0 to 1: first texts, second texts, scores, to learn from and held out."""
    found = scored(path)
    most = max(one.score for one in found) or 1.0
    learned, away = ([[one.first for one in side], [one.second for one in side], [one.score / most for one in side]]
                     for side in parted_pairs(path, found))
    return learned, away


def paired(path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """A user's pairs of texts that belong together: to learn from, and held out."""
    learned, away = ([(one.first, one.second) for one in side] for side in parted_pairs(path, pairs(path)))
    return learned, away


def tell_cut(texts: Sequence[str], tokenizer: Tokenizer, length: int) -> None:
    """Says how many texts lose their end, if any does."""
    cut = sum(len(ids) + 1 > length for ids in tokenizer.documents(texts))  # with one token before it, and one after it
    if cut:
        print(f"{cut} of {len(texts)} texts are longer than length {length} and lose their end: give a greater length", file=sys.stderr)


def texts_with_class(texts: Sequence[str], classes: Sequence[int] | np.ndarray, tokenizer: Tokenizer, length: int) -> MapDataset:
    """tokens, present and label; a text that is too long loses its end."""
    rows = [joined([tokenizer.encode(text)], tokenizer, length) for text in texts]
    return examples(**stacked(rows), label=np.asarray(classes, np.int32))


def words_with_classes(
    sentences: Sequence[Sequence[str]], classes: Sequence[np.ndarray], tokenizer: Tokenizer, length: int, hidden: float = 0.0
) -> MapDataset:
    """tokens, present, labels and weights: a word's class is asked for at its first piece. A word of no pieces is unknown.

    `hidden`: the share of words of a class other than 0 that are hidden behind the mask, other ones in each epoch, so that
    what they are must be read from what stands around them.
    """
    rows = []
    for words, own in zip(sentences, classes, strict=True):
        pieces = [ids if len(ids := tokenizer.encode(word)) else np.array([tokenizer.unknown], np.int32) for word in words]
        row = joined([np.concatenate(pieces)], tokenizer, length)
        begins = 1 + np.cumsum([0] + [len(piece) for piece in pieces[:-1]])
        fits = begins < length - 1
        labels, weights, word = np.zeros(length, np.int32), np.zeros(length, np.float32), np.full(length, -1, np.int32)
        labels[begins[fits]], weights[begins[fits]] = np.asarray(own)[fits], 1.0
        for number, (begin, piece) in enumerate(zip(begins, pieces, strict=True)):
            word[begin : min(begin + len(piece), length - 1)] = number if own[number] else -1
        rows.append({**row, "labels": labels, "weights": weights, "word": word})
    mask = tokenizer.mask

    def hide(example: Example, rng: np.random.Generator) -> Example:
        word = example["word"]
        chosen = (rng.random(len(word)) < hidden)[word] & (word >= 0)
        return {name: value for name, value in example.items() if name != "word"} | {
            "tokens": np.where(chosen, mask, example["tokens"])}

    return examples(**stacked(rows)).random_map(hide, seed=4)


def question_example(one: Question, tokenizer: Tokenizer, length: int) -> Example | None:
    """[CLS] question [SEP] passage [SEP], and the first and last token of the answer; nothing, where there is none, or no room."""
    if not one.answers:
        return None
    start, end = one.answers[0].start, one.answers[0].start + len(one.answers[0].text)
    asked = tokenizer.encode(one.question)
    read = tokenizer.core.encode(one.passage, add_special_tokens=False)
    row = joined([asked, np.array(read.ids, np.int32)], tokenizer, length)
    inside = [place for place, (first, last) in enumerate(read.offsets) if first < end and last > start]
    offset = len(asked) + 2
    if not inside or offset + len(read.ids) >= length:
        return None
    place = np.arange(length)
    return row | {
        "passage": (place >= offset) & (place < offset + len(read.ids)),
        "first": np.array(offset + inside[0], np.int32),
        "last": np.array(offset + inside[-1], np.int32)}


def questions_with_answers(questions: Sequence[Question], tokenizer: Tokenizer, length: int) -> tuple[list[Question], MapDataset]:
    """Those that have an answer and fit into the length, and the same as examples; it is said how many are left out."""
    found = [(one, row) for one in questions if (row := question_example(one, tokenizer, length)) is not None]
    if not found:
        raise Mistake(f"None of {len(questions)} questions has an answer and fits with its passage into length {length}: "
                      "give a greater length.")
    if left := len(questions) - len(found):
        print(f"{left} of {len(questions)} questions are left out: they have no answer, or do not fit with their passage into "
              f"length {length}", file=sys.stderr)
    return [one for one, _ in found], examples(**stacked([row for _, row in found]))


def asked_anew(make: Callable[[np.random.Generator], Question], count: int, tokenizer: Tokenizer, length: int) -> MapDataset:
    """Questions that are made anew in each epoch, so that none can be learned by heart."""

    def new(_: Example, rng: np.random.Generator) -> Example:
        while True:
            row = question_example(make(rng), tokenizer, length)
            if row is not None:
                return row

    return examples(at=np.arange(count)).random_map(new, seed=3)


def tags_of(given: np.ndarray, example: Example, classes: list[str], words: int) -> list[str]:
    """The tags of a sentence's words, from the class given to every piece; words that did not fit have none."""
    said = [classes[number] for number in given[example["weights"] > 0]]
    return said + ["O"] * (words - len(said))
