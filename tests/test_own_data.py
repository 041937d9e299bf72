"""Encoders' tasks on the user's own files, and from the user's own checkpoint."""
import json

import jax
import numpy as np
import pytest

from experiments.encoders import classify, entities, questions
from transformer.data.batches import batches
from transformer.data.tokenizers import word_pieces
from transformer.huggingface import save
from transformer.mistakes import Mistake
from transformer.models import bert, modernbert, roberta
from transformer.training.experiment import stages
from transformer.weights import holds, initialise

WORDS = "the cat sat on a mat in Rome and Bern who where number"
SMALL = {"layers": 1, "embed": 16, "heads": 2, "mlp": 16, "rows": 4, "steps": 1}


def reviews(folder):
    path = folder / "reviews.csv"
    path.write_text("text,label\n" + "".join(f"the cat sat {n} times,{'good' if n % 2 else 'bad'}\n" for n in range(80)))
    return path


def columns(folder):
    path = folder / "names.conll"
    path.write_text("".join(f"cat O\nnumber O\n{n} O\nRome B-place\n\n" for n in range(80)))
    return path


def squad(folder):
    passages = [f"the cat sat on mat {n} in Rome" for n in range(80)]
    asked = [{"context": text, "qas": [{"id": str(n), "question": "where ?", "answers": [{"text": "Rome", "answer_start": text.index("Rome")}]}]}
             for n, text in enumerate(passages)]
    path = folder / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": asked}]}))
    return path


TASKS = {"classify": (classify, reviews), "entities": (entities, columns), "questions": (questions, squad)}


def first_loss(experiment):
    model = initialise(experiment.model, jax.random.key(0), holds(experiment.model))
    total, weight, _ = jax.jit(experiment.loss)(model, batches(experiment.data, 4, 0)[0])
    return float(total) / float(weight)


@pytest.mark.parametrize("task", TASKS)
def test_a_file_takes_the_place_of_what_is_made(tmp_path, task):
    module, written = TASKS[task]
    experiment = next(stages(module.experiment(file=written(tmp_path), length=32, **SMALL)))
    assert experiment.corpus == written(tmp_path).name and np.isfinite(first_loss(experiment))
    assert 0 < len(experiment.held_out) < 40 and len(experiment.data) + len(experiment.held_out) == 80


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_a_checkpoint_takes_the_place_of_being_born(tmp_path, task, family):
    module, written = TASKS[task]
    tokenizer = word_pieces([WORDS], 128)
    if family == "modernbert":
        spec = modernbert.Masked.of(modernbert.Size(tokenizer.size, 1, 16, 2, 24))
    elif family == "roberta":
        spec = roberta.masked(bert.Size(tokenizer.size, 40, 1, 1, 16, 2, 24))
    else:
        spec = bert.Pretraining.of(bert.Size(tokenizer.size, 40, 2, 1, 16, 2, 24))
    save(tmp_path / "checkpoint", initialise(spec, jax.random.key(0)), tokenizer)
    experiment = next(stages(module.experiment(from_=tmp_path / "checkpoint", file=written(tmp_path), length=32, **SMALL)))
    assert any(name.startswith("encoder.") for name in holds(experiment.model)) and np.isfinite(first_loss(experiment))


def test_a_label_that_is_only_held_out_is_refused(tmp_path):
    path = reviews(tmp_path)
    _, away = classify.parted(classify.files.labelled(path), lambda one: one.text)
    lines = path.read_text().splitlines()
    lines[away[0].line - 1] = f"{away[0].text},odd"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(Mistake, match=rf"reviews.csv, line {away[0].line}, has the label 'odd'"):
        classify.experiment(file=path, **SMALL)
