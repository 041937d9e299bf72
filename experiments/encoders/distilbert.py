"""DistilBERT: half of a trained BERT's layers, taught by all of them, against the same half learning by itself.

    python -m experiments distilbert        two cores: 1.08 of its teacher's right guesses with .59 of its parameters, but at two
                                            seeds of three fewer than the same half that learned as long alone

In so few steps four layers learn no more than two (with 1000 steps alone: .28 and .37 right), so what there is to gain from a
teacher does not show in five minutes.
"""
from functools import partial

from transformer.data import sources, tokenizers
from transformer.data.masking import full_sentences, masked
from transformer.losses import distillation, masked_right
from transformer.models.bert import Size
from transformer.models.distilbert import Distilled, halved
from transformer.models.distilbert import masked as distilbert
from transformer.shows.bars import bars
from transformer.shows.masks import masked_lines
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import on
from transformer.weights import count

SMOKE = {"layers": 2, "embed": 32, "heads": 2, "mlp": 48, "vocab": 640, "rows": 8}


def experiment(layers: int = 4, embed: int = 96, heads: int = 4, mlp: int = 512, length: int = 64, rows: int = 32,
               vocab: int = 1024, rate: float = 1e-2, dropout: float = 0.0, temperature: float = 2.0, steps: int = 500) -> Stages:
    learned, held_out = sources.split(sources.python_reference())
    tokenizer = tokenizers.word_pieces(learned, vocab)
    data, unseen = (masked(full_sentences(texts, tokenizer, length), tokenizer) for texts in (learned, held_out))
    unseen = unseen.seed(0)

    def stage(name: str, model, loss, **rest) -> Experiment:
        frozen = ("teacher.*",) if isinstance(model, Distilled) else ()
        return Experiment(stage=name, model=model, loss=loss, data=data, held_out=unseen, rows=rows, steps=steps,
                          optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3, frozen=frozen),
                          corpus="the Python reference", **rest)

    def size(layers: int) -> Size:
        return Size(tokenizer.size, length, 0, layers, embed, heads, mlp)

    teacher = yield stage("teacher", distilbert(size(layers), dropout), masked_right)
    alone = yield stage("alone", distilbert(size(layers // 2), dropout), masked_right)
    student = halved(teacher.kept)
    share = count(student) / count(teacher.spec)

    yield stage(
        "student", Distilled(teacher.kept, student), partial(distillation, temperature=temperature),
        measures=[lambda model, values: {"of_teacher": values["right"] / max(teacher.values["right"], 1e-8), "parameters": share}],
        expects=[Expectation("of_teacher", 0.97, alone.values["right"] / max(teacher.values["right"], 1e-8), above=True),
                 Expectation("parameters", 0.6, baseline=1.0),
                 Expectation("right", None, alone.values["right"], above=True)],
        shows=[bars({"teacher, all layers": teacher.values["right"], "half, alone": alone.values["right"]}, "half, taught", "right",
                    on(unseen, masked_right, rows, ""), "of the masked words guessed", above=True),
               masked_lines(tokenizer, unseen, range(3))])


if __name__ == "__main__":
    main(experiment)
