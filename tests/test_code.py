"""Python's tokens and back, pieces of them, and middles to fill in."""
import ast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.data import code
from transformer.data.examples import example, windows
from transformer.data.infilling import infilled, middles, psm, spm
from transformer.data.ngrams import top_1
from transformer.data.tokenizers import code_pieces
from transformer.mistakes import Mistake

PROGRAM = '''
def f(a, *b, c=-1):  # a remark
    """Says what it does."""
    x = [a . real, 1 .real, b[1:2, ::3]]

    if not (a and f"{a!r}" 'so'):
        return lambda: a @ -b ** ~c; pass
    from . import y
class C: z: int = (yield)
'''


def test_tokens_come_back_and_mean_the_same():
    tokens = code.tokens(PROGRAM)
    text = code.written(tokens)
    assert code.tokens(text) == tokens and "a remark" not in text and "Says" not in text and '"{a!r}"' in text
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(PROGRAM.replace('"""Says what it does."""', "...")))
    assert tokens[:6] == ["def", "f", "(", "a", ",", "*"] and tokens.count("→") == tokens.count("←") == 2
    assert code.tokens("if x:  # so\n  y = 1") == ["if", "x", ":", "\n", "→", "y", "=", "1", "\n", "←"]
    assert code.written(["f", "(", "x", ")", "[", "1", "]", "\n"]) == "f(x)[1]\n"


def test_a_form_feed_ends_no_line(monkeypatch):
    monkeypatch.setattr(code, "FSTRING", {"NUMBER": 1, "STRING": -1})  # as if they were an f-string's, many tokens since Python 3.12
    assert code.tokens("a\n\x0c\nb = 1 + 'two'\n") == ["a", "\n", "b", "=", "1 + 'two'", "\n"]


@pytest.mark.slow
def test_the_standard_librarys_tokens_come_back():
    for text in code.library(168):
        assert code.tokens(code.written(tokens := code.tokens(text))) == tokens


def test_pieces_are_whole_tokens_or_parts_of_one():
    marked = code.marked(code.tokens(PROGRAM * 5))
    tokenizer = code_pieces([marked], 320)
    assert code.unmarked(tokenizer.decode(tokenizer.encode(marked))) == code.tokens(PROGRAM * 5)
    assert all("\x1f" not in tokenizer.decode([id])[1:] for id in set(tokenizer.encode(marked).tolist()))
    assert len(set(tokenizer.infilling)) == 3 and tokenizer.special[[*tokenizer.infilling]].all()


@given(st.integers(8, 40), st.data())
@settings(max_examples=30, deadline=None)
def test_a_middle_is_moved_and_nothing_is_lost(length, data):
    row = np.arange(100, 100 + length)
    first = data.draw(st.integers(0, length))
    last = data.draw(st.integers(first, length))
    one, other = psm(row, first, last, (1, 2, 3), 9), spm(row, first, last, (1, 2, 3), 9)
    assert one.tolist() == [1, *row[:first], 2, *row[last:], 3, *row[first:last], 9]
    assert other.tolist() == [1, 2, *row[last:], 3, *row[:last], 9]


def test_half_of_the_windows_have_their_middle_last():
    data = infilled(windows(np.arange(20, 20 + 1601), 16), (1, 2, 3), 9).seed(0)
    rows = [example(data, at) for at in range(len(data))]
    filled = [one for one in rows if one["tokens"][0] == 1]
    assert 30 < len(filled) < 70 and any(one["tokens"][1] == 2 for one in filled) and all(one["tokens"].shape == (16,) for one in rows)
    assert all(one["targets"][-1] == 9 and (one["tokens"][1:] == one["targets"][:-1]).all() for one in filled)


def test_the_same_middle_is_asked_with_its_suffix_and_without():
    known, blind = middles(windows(np.arange(20, 20 + 161), 16), (1, 2, 3), 9, size=4, count=5)
    for at in range(5):
        seen, unseen = example(known, at), example(blind, at)
        assert seen["targets"][seen["weights"] > 0].tolist() == unseen["targets"][unseen["weights"] > 0].tolist()
        assert seen["weights"].sum() == unseen["weights"].sum() == 4 and unseen["targets"][unseen["weights"] > 0][0] > 20
        assert unseen["tokens"].max() <= unseen["targets"][unseen["weights"] > 0].max()
    with pytest.raises(Mistake, match="A middle of 12 tokens does not fit into these windows: give at most 11"):
        middles(windows(np.arange(20, 20 + 161), 16), (1, 2, 3), 9, size=12, count=5)


def test_counting_finds_what_always_follows():
    row = np.tile([1, 2, 3, 1, 4], 50)
    assert top_1(row[:200], row[200:], 1) == pytest.approx(0.4, abs=0.05)
    assert top_1(row[:200], row[200:], 3) == 1.0
    assert top_1(np.array([1, 2, 1, 2, 1, 2, 5]), np.array([7, 1, 2]), 3) == 1.0  # what was never seen falls back
