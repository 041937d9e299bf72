"""Code: Python's tokens one after the other, rare ones in pieces; some of the time with a middle to fill in.

    python -m experiments code                   two cores: the likeliest token is right .49 of the time, by a 5-gram .42;
                                                 a middle is told better by who has seen what follows it
    python -m experiments code --folder mine     on your own .py files (--skip: without those that do not parse)
"""
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data import code, tokenizers
from transformer.data.examples import Example, windows
from transformer.data.infilling import infilled, middles
from transformer.data.ngrams import top_1
from transformer.decoding import generate
from transformer.losses import next_token, next_token_right
from transformer.models.llama import Llama, Size
from transformer.shows.bars import draw_bars
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_stable_decay
from transformer.training.run import main
from transformer.training.shows import on

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 64, "vocab": 320, "files": 6, "asked": 8, "middle": 4}
BEGUN = ["def", "first", "(", "items", ")", ":", "\n", "→", "if", "not", "items", ":", "\n", "→", "return"]


def experiment(layers: int = 3, embed: int = 128, heads: int = 2, mlp: int = 320, length: int = 128, rows: int = 16, vocab: int = 1024,
               rate: float = 6e-3, steps: int = 1100, files: int = 168, filled: float = 0.2, middle: int = 16, asked: int = 200,
               folder: Path | None = None, skip: bool | None = None) -> Experiment:
    learned, held = ([code.marked(code.tokens(text)) for text in some] for some in code.modules(folder, bool(skip), files))
    tokenizer = tokenizers.code_pieces(learned, vocab)
    ids, tested = tokenizer(learned), tokenizer(held)
    model = Llama.of(Size(tokenizer.size, layers, embed, heads, heads, mlp), tied=True)
    test = windows(tested, length)
    right = on(test.map(of_one_group), partial(next_token_right, groups=("token",)), rows, "")

    def filling(model: Any, values: Any) -> dict[str, float]:
        known, blind = (on(data, next_token, rows, "")(model, values)["nats"]
                        for data in middles(test, tokenizer.infilling, tokenizer.end, middle, asked))
        return {"filled_nats": known, "unseen_nats": blind, "gain": blind - known}

    def five_gram() -> float:
        return top_1(ids, tested[:20_000], 5)

    def program(tokens: Any) -> str:
        return code.written(code.unmarked(tokenizer.decode(tokens)))

    def shown(model: Any, place: Path) -> str:
        before, after, between = tokenizer.infilling
        begun = tokenizer.encode(code.marked(BEGUN))
        rest = tokenizer.encode(code.marked(["\n", "←", "return", "items", "[", "0", "]", "\n", "←"]))
        onward, inside = generate(model, [begun, [before, after, *rest, between, *begun]], most=30, ends=tokenizer.end).texts()
        draw_bars(place / "top_1.png", {"5-gram": five_gram(), "decoder": right(model, {})["right_token"]},
                  "How often the likeliest token is the right one", "share", own="decoder")
        return (f"goes on:\n{program([*begun, *onward[0]])}\nfills in what stands between:\n"
                f"{program([*begun, *inside[0][:-1], *rest])}")

    return Experiment(
        model=model,
        loss=next_token,
        data=infilled(windows(ids, length, stride=length // 2), tokenizer.infilling, tokenizer.end, filled),
        held_out=test,
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_stable_decay(rate, steps, warmup=steps // 10, decay=steps // 3), adam=0.5),
        measures=[lambda model, values: {"top_1": right(model, values)["right_token"]}, filling],
        corpus=f"tokens of {folder.name}" if folder else "the standard library's tokens",
        expects=[Expectation("top_1", (bound := five_gram()) + 0.02, baseline=bound, above=True),
                 Expectation("gain", 0.0, baseline=0.0, above=True)],
        shows=[shown])


def of_one_group(one: Example) -> Example:
    return {**one, "group": np.zeros_like(one["targets"])}


if __name__ == "__main__":
    main(experiment)
