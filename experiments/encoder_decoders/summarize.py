"""Summaries: of made logs, which a program checks; and of real functions, whose authors wrote one, against writing without reading.

    python -m experiments summarize                         two cores: .985 of the logs; 3.91 nats a piece of a function's line,
                                                            4.08 for who has not read it
    python -m experiments summarize --file pairs.tsv        of your own texts, each with its summary behind a tab

To look for what it writes in what it reads is learned before, from functions into which words of their summary are strewn.
Who does not read has learned that too: the tenth of a nat asked for is what reading itself brings.
"""
from pathlib import Path
from typing import Any

import numpy as np
from grain import MapDataset

from transformer.data import tokenizers
from transformer.data.docstrings import functions_by_module, spoken
from transformer.data.examples import Example, example
from transformer.data.made import logs
from transformer.data.pairs import hinted, pairs, parallel
from transformer.data.tokenizers import Tokenizer
from transformer.losses import sequence_to_sequence
from transformer.models.t5 import T5, Size, rates
from transformer.shows.alignment import attended, mapped
from transformer.training.answers import exact_match
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import answer

SMOKE = {"days": 50, "held_out": 8, "functions": 60, "layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 24, "rows": 4, "vocab": 300}


def experiment(layers: int = 2, embed: int = 128, heads: int = 4, mlp: int = 256, days: int = 20_000, held_out: int = 200,
               functions: int = 4500, vocab: int = 1024, length: int = 64, rows: int = 32, rate: float = 4e-3, dropout: float = 0.1,
               steps: int = 450, hints: int = 600, reading: int = 200, file: Path | None = None) -> Stages:
    def stage(name: str, tokenizer: Tokenizer, data: MapDataset, tested: MapDataset, count: int, model: Any = None,
              drop: float = dropout, **more: Any) -> Experiment:
        """Learns from birth; or goes on from a model, at half the rate."""
        size = Size(tokenizer.size, layers, embed, heads, embed // heads, mlp)
        born = T5.of(size, gated=True, tied=True, dropout=drop)
        peak = rate / 2 if model else rate
        return Experiment(
            stage=name, model=model or born, loss=sequence_to_sequence, tokenizer=tokenizer, data=data, held_out=tested, rows=rows,
            steps=count, optimizer=muon(born, warmup_cosine(peak, count, warmup=count // 10), adam=0.75, rates=rates(size)), **more)

    if not file:
        away = logs.logs(held_out, seed=2)
        learned = logs.logs(days, seed=1, but=frozenset(away))
        tokenizer = tokenizers.spaced([*learned, *map(logs.summary, learned)])
        data, test = (pairs(part, [logs.summary(log) for log in part], tokenizer) for part in (learned, away))
        yield stage(
            "logs", tokenizer, data, test, steps, drop=0.0, corpus="logs of services", measures=[exact_match(test)],
            expects=[Expectation("exact", 0.9, baseline=lambda: logs.times_and_a_guess(learned, away), above=True)],
            shows=[answer(tokenizer, example(test, 0)), mapped(tokenizer, example(test, 0), {"where it looked": attended}, "log.png")])

    parts = parallel(file) if file else [described(False, functions), described(True, functions // 8)]
    tokenizer, most = tokenizers.byte_pairs([text for side in parts[0] for text in side], vocab), (length, 24)
    read, unseen = (pairs(*part, tokenizer, most) for part in parts)
    cut = len(read) * 9 // 10  # the last tenth to choose the weights by: files follow each other
    corpus = "pairs of a file" if file else "the standard library's functions"
    asked, answers = (side[:cut] for side in parts[0])
    told = (yield stage("hints", tokenizer, hinted(asked, answers, tokenizer, most), unseen, hints, corpus=corpus)).kept
    blind = yield stage(
        "without reading", tokenizer, read[:cut].map(unread), unseen.map(unread), reading, told, validation=read[cut:].map(unread),
        corpus=corpus)
    yield stage(
        "reading", tokenizer, read[:cut], unseen, reading, told, validation=read[cut:], corpus=corpus,
        expects=[Expectation("nats", blind.values["nats"] - 0.1, baseline=blind.values["nats"])],
        shows=[answer(tokenizer, example(unseen, at)) for at in (0, len(unseen) // 2)])


def described(held_out: bool, most: int) -> tuple[list[str], list[str]]:
    """Functions and what their authors say of them, both in words."""
    found = functions_by_module(held_out, most)
    return [spoken(code) for _, code in found], [spoken(line) for line, _ in found]


def unread(one: Example) -> Example:
    """The same answer to nothing."""
    return {**one, "source": np.zeros_like(one["source"]), "present": np.arange(len(one["present"])) == 0}


if __name__ == "__main__":
    main(experiment)
