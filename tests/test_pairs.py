"""Sources and targets as examples; the user's own pairs."""
import json

import pytest

from transformer.data import tokenizers
from transformer.data.examples import example
from transformer.data.pairs import pair, pairs, parallel
from transformer.mistakes import Mistake

TOKENIZER = tokenizers.spaced("a b c")


def test_a_pair_is_padded_and_shifted():
    data = pairs(["a b", "c"], ["c", "a b c"], TOKENIZER)
    first = example(data, 0)
    a, b, c = (TOKENIZER(word)[0] for word in "abc")
    start, end, pad = TOKENIZER.start, TOKENIZER.end, TOKENIZER.pad
    assert first["source"].tolist() == [a, b, end] and first["present"].all()
    assert first["target"].tolist() == [start, c, end, pad] and first["labels"].tolist() == [c, end, pad, pad]
    assert first["weights"].tolist() == [1, 1, 0, 0]
    assert example(data, 1)["present"].tolist() == [True, True, False]
    with pytest.raises(Mistake, match="A target has 4 tokens .* room for 3"):
        pair(TOKENIZER("a"), TOKENIZER("a b c a"), 3, 3, TOKENIZER)


def test_words_are_what_stands_between_spaces():
    tokenizer = tokenizers.spaced(["le chat s'assit .", "l' arbre"], sentinels=2)
    assert tokenizer.decode(tokenizer("le chat s'assit .")) == "le chat s'assit ."
    assert tokenizer("<extra_id_1>")[0] == tokenizer.sentinels[1]
    assert tokenizer("chien")[0] == tokenizer.unknown and len(tokenizer.sentinels) == 2 and tokenizer.sentinels[0] == tokenizer.tokens - 1


def test_the_users_pairs_are_parted(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"source {n}\ttarget {n}\n" for n in range(40)))
    (sources, targets), (held, answers) = parallel(path)
    assert len(sources) + len(held) == 40 and not set(sources) & set(held) and 2 <= len(held) <= 8
    assert [text.replace("source", "target") for text in sources + held] == targets + answers
    path.write_text("one\ttwo\none\tthree\n")
    with pytest.raises(Mistake, match="pairs of one source"):
        parallel(path)
    path.write_text("one\ttwo\nthree\t\n")
    with pytest.raises(Mistake, match="line 2"):
        parallel(path)


def test_a_tab_is_part_of_a_text_and_a_source_stays_on_one_side(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"first": f"a\t{n // 3}", "second": f"b\t{n}"}) for n in range(60)))
    (sources, targets), (held, answers) = parallel(path)
    assert not set(sources) & set(held) and len(held) % 3 == 0 and sorted(targets + answers) == sorted(f"b\t{n}" for n in range(60))
    assert all(int(answer[2:]) // 3 == int(text[2:]) for text, answer in zip(sources + held, targets + answers, strict=True))
