"""Encoders' tasks on the user's own files, and from the user's own checkpoint."""
import json

import jax
import numpy as np
import pytest

from experiments.encoder_decoders import marian, t5
from experiments.encoders import bi_encoder, classify, entities, questions, similarity
from experiments.workflows import fine_tune
from transformer.data.batches import batches
from transformer.data.tokenizers import word_pieces
from transformer.huggingface import save
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


@pytest.mark.parametrize("task", TASKS)
def test_what_is_expected_of_a_file_is_its_baseline(tmp_path, task):
    module, written = TASKS[task]
    ((expected,),) = (one.expects for one in stages(module.experiment(file=written(tmp_path), length=32, **SMALL)))
    baseline = expected.baseline() if callable(expected.baseline) else expected.baseline
    assert expected.threshold is None and np.isfinite(baseline)


def test_what_is_cut_or_left_out_is_told(tmp_path, capsys):
    pairs, scored = tmp_path / "pairs.tsv", tmp_path / "scored.tsv"
    lines = [f"cat {n}\tthe cat sat on mat {n}" for n in range(40)]
    pairs.write_text("\n".join(lines))
    scored.write_text("\n".join(["first\tsecond\tscore", *(f"{line}\t{at % 3}" for at, line in enumerate(lines))]))
    (expected,) = similarity.experiment(file=scored, length=6, **SMALL).expects
    assert "40 of 80 texts are longer than length 6" in capsys.readouterr().err and expected.threshold is None
    next(stages(bi_encoder.experiment(file=pairs, length=6, **SMALL)))
    assert "40 of 80 texts are longer than length 6" in capsys.readouterr().err
    classify.experiment(file=reviews(tmp_path), length=6, **SMALL)
    assert "80 of 80 texts are longer than length 6" in capsys.readouterr().err
    next(stages(fine_tune.experiment(file=reviews(tmp_path), length=6, **SMALL)))
    assert "80 of 80 texts are longer than length 6" in capsys.readouterr().err
    entities.experiment(file=columns(tmp_path), length=5, **SMALL)
    assert "80 of 80 texts are longer than length 5" in capsys.readouterr().err
    path = squad(tmp_path)
    path.write_text(path.read_text().replace('"where ?", "answers": [{', '"where ?", "answers": [], "plausible": [{', 5))
    list(stages(questions.experiment(file=path, length=32, **SMALL)))
    assert "questions are left out" in capsys.readouterr().err


def test_texts_to_be_written_anew_have_their_own_bounds(tmp_path):
    (tmp_path / "pairs.tsv").write_text("".join(f"cat {n}\tcat {n}\n>>fr<< dog {n}\tdog {n}\n" for n in range(40)))
    (expected,) = marian.experiment(file=tmp_path / "pairs.tsv", **marian.SMOKE).expects
    assert expected.threshold is None and expected.baseline == 1.0
    (tmp_path / "a.txt").write_text(f"{WORDS} " * 100)
    (expected,) = next(stages(t5.experiment(file=tmp_path / "a.txt", **t5.SMOKE))).expects
    assert expected.threshold is None and np.isfinite(expected.baseline())


def test_a_label_that_would_only_be_held_out_is_learned(tmp_path):
    path = reviews(tmp_path)
    _, away = classify.parted(classify.files.labelled(path), lambda one: one.text)
    lines = path.read_text().splitlines()
    lines[away[0].line - 1] = f"{away[0].text},odd"
    path.write_text("\n".join(lines) + "\n")
    built = classify.experiment(file=path, **SMALL)
    assert len(built.held_out) == len(away) - 1 and len(built.data) == 80 - len(built.held_out)
