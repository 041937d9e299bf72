"""Code, character by character and in Python's tokens: on the same programs, what does a character cost in each?

    python -m experiments code_characters                   two cores: less than a 5-gram of characters, which pays 1.67 nats; beside
                                                            it the decoder of tokens, whose 5-gram pays 1.54 a character
    python -m experiments code_characters --folder mine     on your own .py files (--skip: without those that do not parse)
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformer.data import code, tokenizers
from transformer.data.examples import windows
from transformer.data.ngrams import witten_bell
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.shows.bars import bars
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 64, "vocab": 320, "files": 6}


def experiment(layers: int = 3, embed: int = 128, heads: int = 4, mlp: int = 320, length: int = 256, rows: int = 8, vocab: int = 1024,
               rate: float = 1e-2, token_steps: int = 500, steps: int = 900, files: int = 168, folder: Path | None = None,
               skip: bool | None = None) -> Stages:
    texts = [[code.tokens(text) for text in some] for some in code.modules(folder, bool(skip), files)]
    (learned, held), (marked, unseen) = ([[turned(one) for one in some] for some in texts] for turned in (code.written, code.marked))
    letters, pieces = tokenizers.characters(learned + held), tokenizers.code_pieces(marked, vocab)
    size = len(letters(held))
    reached = {"5-gram of characters": witten_bell(letters(learned), letters(held), 5),
               "5-gram of tokens": witten_bell(pieces(marked), pieces(unseen), 5) * len(pieces(unseen)) / size}

    def stage(name: str, tokenizer: tokenizers.Tokenizer, some: tuple[list[str], list[str]], count: int, **rest: Any) -> Experiment:
        model = Llama.of(Size(tokenizer.size, layers, embed, heads, heads, mlp), tied=True)
        ids, tested = map(tokenizer, some)

        def cost(model: Any, values: Mapping[str, float]) -> dict[str, float]:
            reached[name] = values["nats"] * len(tested) / size
            return {"nats_per_character": reached[name]}

        return Experiment(
            stage=name, model=model, loss=next_token, data=windows(ids, length, stride=length // 2), held_out=windows(tested, length),
            tokenizer=tokenizer, rows=rows, steps=count, measures=[cost], corpus=f"programs in {name}",
            optimizer=muon(model, warmup_cosine(rate, count, warmup=count // 10), adam=0.3), **rest)

    trained = yield stage("tokens", pieces, (marked, unseen), token_steps)
    reached["tokens"] = trained.values["nats_per_character"]  # also of a stage that was done before
    yield stage("characters", letters, (learned, held), steps,
                expects=[Expectation("nats_per_character", None, baseline=reached["5-gram of characters"])],
                shows=[bars({**reached}, "characters", "characters", lambda model, values: reached, "nats a character"),
                       continuation(letters, "def first(items):\n    if not ", 200)])


if __name__ == "__main__":
    main(experiment)
