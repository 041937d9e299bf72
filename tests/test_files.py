import json

import numpy as np
import pytest

from transformer.data import files
from transformer.data.files import Answer, Labelled, Pair, Question, Scored, Tagged
from transformer.mistakes import Mistake

PASSAGE = "Ada lives in Bern."
SQUAD = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [
    {"id": "a", "question": "Where does Ada live?", "answers": [{"text": "Bern", "answer_start": 13}]},
    {"id": "b", "question": "Where does Bo live?", "answers": []}]}]}]}


@pytest.mark.parametrize(("reader", "name", "content", "expected"), [
    (files.lines, "a.txt", "one\r\n\n two\n", ["one", " two"]),
    (files.labelled, "a.jsonl", '{"text": "good", "label": "yes"}\n\n{"label": 0, "text": "bad"}\n',
     [Labelled("good", "yes", 1), Labelled("bad", "0", 3)]),
    (files.labelled, "a.csv", 'label,text\nyes,"good, and\nmore"\nno,bad\n', [Labelled("good, and\nmore", "yes", 2), Labelled("bad", "no", 4)]),
    (files.labelled, "a.tsv", "text\tlabel\ngood\tyes\n", [Labelled("good", "yes", 2)]),
    (files.pairs, "a.tsv", 'the cat\tle chat\n\nHe said "no"\tIl dit « non »\tby me\n',
     [Pair("the cat", "le chat", 1), Pair('He said "no"', "Il dit « non »", 3)]),
    (files.pairs, "a.jsonl", '{"first": "a", "second": "b"}\n', [Pair("a", "b", 1)]),
    (files.scored, "a.jsonl", '{"first": "a", "second": "b", "score": 2}\n', [Scored("a", "b", 2.0, 1)]),
    (files.scored, "a.tsv", "score\tfirst\tsecond\n.5\ta\tb\n", [Scored("a", "b", 0.5, 2)]),
    (files.tagged, "a.conll", "-DOCSTART- -X- O\n\nAda NNP B-PER\nruns VB O\n\n\n# # O\n",
     [Tagged(("Ada", "runs"), ("B-PER", "O"), 3), Tagged(("#",), ("O",), 7)]),
    (files.tagged, "a.tsv", "# text = New York\nNew York\tB-LOC\n", [Tagged(("New York",), ("B-LOC",), 2)]),
    (files.questions, "a.json", json.dumps(SQUAD), [
        Question("a", "Where does Ada live?", PASSAGE, (Answer("Bern", 13),)), Question("b", "Where does Bo live?", PASSAGE, ())]),
])
def test_a_file_is_read(tmp_path, reader, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert reader(tmp_path / name) == expected


def broken(**changed) -> str:
    """A SQuAD file with another first question."""
    asked = {**SQUAD["data"][0]["paragraphs"][0]["qas"][0], **changed}
    return json.dumps({"data": [{"paragraphs": [{"context": PASSAGE, "qas": [asked]}]}]})


@pytest.mark.parametrize(("reader", "name", "content", "sentence"), [
    (files.tagged, "a.conll", "Ada B-PER\nruns\n", "PATH, line 2, has 1 columns, where line 1 has 2: write 2 on every line"),
    (files.tagged, "a.conll", "Ada\tB-PER\nruns\t\n", "PATH, line 2, has 1 columns"),
    (files.tagged, "a.conll", "Ada\n", "PATH, line 1, has one column: write a word and its tag"),
    (files.tagged, "a.conll", "\n\n", "PATH is empty: it should hold a word and its tag"),
    (files.labelled, "a.jsonl", '{"text": "a", "label": "b"}\n{"text": \n', "PATH, line 2, is not JSON: Expecting value"),
    (files.labelled, "a.jsonl", '{"text": "a"}\n', "PATH, line 1, has no field 'label': its fields are 'text'"),
    (files.labelled, "a.jsonl", '{"text": 1, "label": 1}\n', "PATH, line 1, holds no text in field 'text'"),
    (files.labelled, "a.csv", "text,label\na,b\n\"never closed,b\nc,d\n", "PATH, line 3, cannot be read as columns"),
    (files.labelled, "a.csv", "text,label\na, b, c\n", "PATH, line 2, has more columns than line 1"),
    (files.labelled, "a.csv", "text,label\na,\n", "PATH, line 2, has nothing in 'label'"),
    (files.labelled, "a.csv", "", "PATH is empty"),
    (files.labelled, "a.txt", "a b", "PATH has no fields 'text', 'label': give a file that ends in .jsonl"),
    (files.pairs, "a.tsv", "the cat\tle chat\nthe dog\t \n", "PATH, line 2, has nothing on its second side"),
    (files.pairs, "a.tsv", "\tle chat\n", "PATH, line 1, has nothing on its first side"),
    (files.pairs, "a.tsv", "the cat\n", "PATH, line 1, has no tab"),
    (files.pairs, "none.tsv", None, "There is no file or folder PATH"),
    (files.scored, "a.csv", "first,second,score\na,b,high\n", "PATH, line 2, has 'high' in 'score': write a number"),
    (files.questions, "a.json", '{"data": [\n', "PATH, line 2, is not JSON"),
    (files.questions, "a.json", "[]", "PATH: the file has no 'data' that is a list"),
    (files.questions, "a.json", '{"data": []}', "PATH is empty: it should hold questions"),
    (files.questions, "a.json", broken(question=None), "PATH: data[0].paragraphs[0].qas[0] has no 'question' that is a text"),
    (files.questions, "a.json", broken(answers=[{"text": "Bern", "answer_start": 12}]),
     "PATH: data[0].paragraphs[0].qas[0].answers[0] is 'Bern', but at character 12 of its passage there is ' Ber'"),
])
def test_a_bad_file_is_refused_whole_in_one_sentence(tmp_path, reader, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(Mistake) as told:
        reader(tmp_path / name)
    assert str(told.value).startswith(sentence.replace("PATH", str(tmp_path / name)))
    assert "\n" not in str(told.value)


def test_a_label_unseen_in_training_is_refused():
    assert files.numbers("a.csv", [("yes", 2), ("no", 3)], ["no", "yes"]) == [1, 0]
    with pytest.raises(Mistake, match="a.csv, line 3, has the label 'perhaps', unseen in training, where there are 'no', 'yes'"):
        files.numbers("a.csv", [("yes", 2), ("perhaps", 3)], ["no", "yes"])


def test_some_of_what_was_read_is_held_out():
    one = np.arange(100.0)
    assert [len(part) for part in files.apart([one])] == [90, 10]
    many = [np.full(3, at) for at in range(21)]
    learned, held = files.apart(many)
    assert set(held) == {0, 10, 20} and set(learned) | set(held) == set(range(21)) and len(learned) == 54
