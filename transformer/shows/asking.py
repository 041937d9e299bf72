"""Asking a decoder: one word after each prompt, right or not; with retrieval before, or one question after the other."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transformer.compiled import called
from transformer.data.asking import prompts
from transformer.data.batches import held_out_batches
from transformer.data.examples import examples
from transformer.data.made.passages import Passage
from transformer.data.tokenizers import Tokenizer
from transformer.shows.bars import draw_bars
from transformer.shows.retrieval import vectors_of
from transformer.training.experiment import Measure, Show


def replies(model: Any, passages: Sequence[str], questions: Sequence[str], tokenizer: Tokenizer, length: int) -> list[str]:
    """The likeliest word after each question about its passage."""
    unknown = tokenizer.decode([tokenizer.unknown], specials=True)
    rows, found = prompts(passages, [(question, unknown) for question in questions], tokenizer, length), []
    for batch in held_out_batches(examples(**rows), min(64, len(questions))):
        words = np.asarray(called(model, batch["tokens"])).argmax(-1)
        found += [tokenizer.decode([row[at]]) for row, at in zip(words, batch["weights"].argmax(1), strict=True)]
    return found[:len(questions)]


def exact(said: Sequence[str], truth: Sequence[str]) -> float:
    return float(np.mean([one.lower() == other.lower() for one, other in zip(said, truth, strict=True)]))


@dataclass(frozen=True)
class Library:
    """Statements that a retriever searches, questions about them, and their answers."""

    retriever: Any
    tokenizer: Tokenizer
    length: int  # of a statement or question
    statements: Sequence[str]
    questions: Sequence[str]
    answers: Sequence[str]
    most: int  # statements given to the reader

    @cached_property
    def found(self) -> np.ndarray:
        """The numbers of the statements that lie nearest to each question."""
        asked, there = (vectors_of(self.retriever, texts, self.tokenizer, self.length) for texts in (self.questions, self.statements))
        return np.argsort(-asked @ there.T, axis=1, kind="stable")[:, :self.most]

    @property
    def passages(self) -> list[str]:
        return [" ".join([self.statements[int(at)] for at in row]) for row in self.found]


def read(library: Library, length: int) -> Measure:
    """How many questions are answered from what was retrieved, and how often the right statement was among that."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        said = replies(model, library.passages, library.questions, library.tokenizer, length)
        right = (library.found == np.arange(len(library.questions))[:, None]).any(1).mean()
        return {"exact": exact(said, library.answers), "retrieved": float(right)}

    return measure


def closed_book(library: Library, length: int) -> Measure:
    """How many are answered without anything to read."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        said = replies(model, [""] * len(library.questions), library.questions, library.tokenizer, length)
        return {"exact": exact(said, library.answers)}

    return measure


def consulted(library: Library, length: int, closed: float, likest: float, asked: int = 4) -> Show:
    """Questions with what was retrieved for them and what was answered; the shares right, beside those of a closed book and of the
    value in the statement that is most like the question."""

    def show(model: Any, folder: Path) -> str:
        said = replies(model, library.passages, library.questions, library.tokenizer, length)
        share = exact(said, library.answers)
        draw_bars(folder / "answers.png", {"closed book": closed, "likest by words": likest, "retrieve, then read": share},
                  f"With a library to read in, {share:.0%} of new facts are told; without, {closed:.0%}", "share of questions answered")
        return "\n".join(f"{question} {answer.lower()}{'' if answer.lower() == true.lower() else f' (truly {true})'}   [read: {passage}]"
                         for question, answer, true, passage in
                         zip(library.questions[:asked], said, library.answers, library.passages, strict=False))

    return show


def chained(model: Any, passages: Sequence[Passage], tokenizer: Tokenizer, length: int) -> tuple[list[str], list[str]]:
    """Two prompts: who is meant, and then the question with that name in it. Both replies."""
    texts = [one.text for one in passages]
    first = replies(model, texts, [one.steps[0][0] for one in passages], tokenizer, length)
    seconds = [one.steps[1][0].replace(one.steps[0][1], name) for one, name in zip(passages, first, strict=True)]
    return first, replies(model, texts, seconds, tokenizer, length)


def hops(passages: Sequence[Passage], tokenizer: Tokenizer, length: int) -> Measure:
    """Questions of two hops, asked in one prompt and in two; and the two hops by themselves."""

    def measure(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        texts, truth = [one.text for one in passages], [one.answer for one in passages]
        single = exact(replies(model, texts, [one.question for one in passages], tokenizer, length), truth)
        second = exact(replies(model, texts, [one.steps[1][0] for one in passages], tokenizer, length), truth)
        names, said = chained(model, passages, tokenizer, length)
        both = exact(said, truth)
        return {"single_prompt": single, "chained": both, "gain": both - single, "second_hop": second,
                "first_hop": exact(names, [one.steps[0][1] for one in passages])}

    return measure


def chains(passages: Sequence[Passage], tokenizer: Tokenizer, length: int, asked: int = 4) -> Show:
    """Some chains word for word, and how often either way is right."""

    def show(model: Any, folder: Path) -> str:
        values = hops(passages, tokenizer, length)(model, {})
        draw_bars(folder / "chain.png", {"first hop": values["first_hop"], "second hop": values["second_hop"],
                                         "both in one prompt": values["single_prompt"], "one after the other": values["chained"]},
                  f"Two prompts answer {values['chained']:.0%} of two-hop questions, one prompt {values['single_prompt']:.0%}", "share right")
        some = passages[:asked]
        single = replies(model, [one.text for one in some], [one.question for one in some], tokenizer, length)
        names, said = chained(model, some, tokenizer, length)
        return "\n".join(f"{one.text}\n  {one.question} {alone}\n  {one.steps[0][0]} {name}  ->  "
                         f"{one.steps[1][0].replace(one.steps[0][1], name.capitalize())} {word}   (truly {one.answer})"
                         for one, alone, name, word in zip(some, single, names, said, strict=True))

    return show
