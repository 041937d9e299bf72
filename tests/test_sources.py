import json
import math
import random

import pytest

from transformer.data import sources
from transformer.data.reference import Chains, Reference
from transformer.mistakes import Mistake


def test_python_brings_its_own_texts():
    reference = sources.python_reference()
    assert len(reference) > 70 and sum(map(len, reference)) > 400_000
    assert reference == sources.python_reference()
    library = [text for _, text in sources.standard_library_files()]
    assert len(library) > 400 and any("def dedent(text)" in text for text in library)


def test_the_reference_is_measured_by_the_byte():
    """Told every token by so many nats, a text costs so many bits; and the share held out is that of `split`."""
    text = Reference.of(400, 32)
    tokens = sum(int(text.held_out[row]["weights"].sum()) for row in range(len(text.held_out))) + 1
    letters = len("".join(sources.split(sources.python_reference())[1]).encode())
    assert text.bits == pytest.approx(tokens / letters / math.log(2)) and 0.5 < text.bits < 1
    assert len(text.learned) > 6 * len(text.held_out) and 1.9 < text.five_gram() < 2.4


def test_the_best_on_chains_is_what_their_source_knows():
    few, many = Chains.of(4, 50), Chains.of(4, 100)
    assert few.best == many.best < few.bigram < math.log(4)
    assert [len(one.learned) for one in (few, many)] == [50, 100] and len(few.held_out) == 256
    assert few.learned[0]["tokens"].tolist() != few.held_out[0]["tokens"].tolist()


def test_the_standard_library_is_read_without_its_tests(tmp_path, monkeypatch):
    for name in ("b.py", "a/c.py", "test/d.py", "a/tests/e.py", "site-packages/f.py", "a/g.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'"""{name}"""')
    (tmp_path / "h.py").write_bytes(b"# coding: latin-1\ndef f(x):\n    '\xe9 \\d'\n")
    monkeypatch.setattr(sources.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    texts = [text for _, text in sources.standard_library_files()]
    assert texts == ['"""a/c.py"""', '"""b.py"""', "# coding: latin-1\ndef f(x):\n    'é \\d'\n"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "one\ntwo", ["one\ntwo"]),
        ("a.anything", "one", ["one"]),
        ("a.txt", "\ufeffone\r\ntwo", ["one\ntwo"]),
        ("a.jsonl", '{"text": "one"}\n\n{"text": "two\\u2028"}\n', ["one", "two\u2028"]),
        ("a.csv", 'id,text\n1,"one, and\nmore"\n2,two\n', ["one, and\nmore", "two"]),
        ("a.tsv", "text\tid\none\t1\n\t2\n", ["one"]),
        ("a.csv", "text\n" + "x" * 200_000, ["x" * 200_000]),
    ],
)
def test_a_file_gives_its_documents(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert sources.documents(tmp_path / name) == expected


def test_a_folder_gives_the_documents_of_its_files_in_order(tmp_path):
    for name in ("b/1.md", "a.txt", "c.py", "b/2.txt", ".hidden/no.txt", "image.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "d.jsonl").write_text('{"body": "d"}')
    assert sources.documents(tmp_path, field="body") == ["a.txt", "b/1.md", "b/2.txt", "c.py", "d"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("absent.txt", None, "There is no file or folder PATH: check the path"),
        ("a.txt", b" \n", "PATH is empty"),
        ("a.txt", b"caf\xe9 au lait", "PATH is not UTF-8: byte 0xe9 at offset 3"),
        ("a.jsonl", b'{"text": "a"}\n{"text": oops}\n', "PATH, line 2, is not JSON: Expecting value at column 10"),
        ("a.jsonl", b"[1]\n", "PATH, line 1, is no JSON object"),
        ("a.jsonl", b'\n{"id": 1, "body": "a"}\n', "PATH, line 2, has no field 'text': its fields are 'id', 'body'"),
        ("a.jsonl", b'{"text": 1}\n', "PATH, line 1, holds no text in field 'text'"),
        ("a.csv", b"id,body\n1,a\n", "PATH, line 1, has no column 'text': its columns are 'id', 'body'"),
        ("a.tsv", b"id\ttext\n1\ta\n2\n", "PATH, line 3, is too short to have a column 'text'"),
        ("a.csv", b"", "PATH is empty"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Mistake) as told:
        sources.documents(tmp_path / name)
    assert str(told.value).startswith(sentence.replace("PATH", str(tmp_path / name)))
    assert "\n" not in str(told.value)


def test_a_folder_without_text_is_a_mistake(tmp_path):
    with pytest.raises(Mistake, match="holds no text: 0 files"):
        sources.documents(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_documents_are_split_by_characters_and_never_shared(share):
    chance = random.Random(0)
    texts = [chr(97 + number % 26) * chance.randint(1, 900) for number in range(600)]
    texts += texts[:50]
    train, held_out = sources.split(texts, share)
    assert sorted(train + held_out) == sorted(texts)
    assert not set(train) & set(held_out)
    assert sum(map(len, held_out)) / sum(map(len, texts)) == pytest.approx(share, abs=0.002)
    assert train == [text for text in texts if text in set(train)]
    chance.shuffle(texts)
    assert set(sources.split(texts, share)[1]) == set(held_out)


def test_few_documents_are_split_too():
    assert sources.split(["a" * 90, "b" * 10]) == (["a" * 90], ["b" * 10])
    assert sources.split(["a" * 50, "b" * 30, "c" * 20], 0.3)[1] == ["b" * 30]
    assert len(sources.split(["a" * 50, "b" * 50])[1]) == 1
    assert sources.split(["0123456789"], 0.3) == (["0123456"], ["789"])
    assert sources.split(["0123456789"] * 3, 0.3) == (["0123456"], ["789"])
    with pytest.raises(Mistake, match="share to hold out is 10"):
        sources.split(["a", "b"], 10)


def test_a_digest_tells_contents_and_their_borders_apart():
    assert sources.digest(["ab", "c"]) == sources.digest(["ab", "c"])
    assert len({sources.digest(texts) for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], [])}) == 5


def test_a_json_document_survives_whole(tmp_path):
    text = 'quotes " and\nlines\tand é 日本 \u2028'
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-8")
    assert sources.documents(tmp_path / "a.jsonl") == [text]
