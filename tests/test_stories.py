"""Stories, reviews and talks: the grammar reads what it tells and nothing else; nothing is both learned and held out."""
import numpy as np
import pytest

from transformer.data.made.opinions import BAD, DEGREES, GOOD, PARTS, VERDICTS, opinions
from transformer.data.made.stories import parses, stories
from transformer.data.ngrams import babbled


def test_the_grammar_reads_what_it_tells():
    told = stories(200, seed=0)
    assert len(set(told)) == 200 and all(parses(story) for story in told)


@pytest.mark.parametrize(("old", "new"), [
    ("Anna", "Clara"), (" she ", " he "), (" kite.", " ball."), ("the fox back", "the bear back"), ("a kite", "the kite"),
    ("Happily she went home from the mill.", ""), ("Happily", "Sadly"), ("the mill.", "the lake."), ("Ben", "Anna")])
def test_the_grammar_reads_nothing_else(old, new):
    story = ("One morning Anna went to the mill. There Anna found a kite. Then Ben came and liked the kite. Suddenly a fox took the "
             "kite. Ben called the fox back. At last Anna had her kite again. Happily she went home from the mill.")
    assert parses(story) and old in story and not parses(story.replace(old, new, 1))


@pytest.mark.parametrize("make", [stories, lambda *given: opinions(*given)[0]])
def test_nothing_is_learned_and_held_out(make):
    learned, unseen = set(make(500, 0, False)), set(make(500, 1, True))
    assert len(learned) == len(unseen) == 500 and not learned & unseen


def test_a_review_praises_or_blames_throughout():
    texts, praise = opinions(200, seed=0)
    known = {*GOOD, *BAD, *PARTS, *(degree.strip() for degree in DEGREES), "the", "was", "not", "and", "."}
    assert 60 < sum(praise) < 140 and {word for text in texts for word in text.split()} <= known
    assert not set(GOOD) & set(BAD)
    for text, praises in zip(texts, praise, strict=True):
        for clause in text.removesuffix(" .").split(" and "):
            denied, adjective = " not " in clause, clause.split()[-1]
            assert (adjective in GOOD) == (bool(praises) != denied)


def test_a_verdict_says_what_the_review_says_and_what_stands_before_it_is_held_out_or_not():
    told, praise = opinions(300, seed=0, verdicts=0.5)
    ended = [(text, any(verdict in text for verdict in VERDICTS[praises]), any(verdict in text for verdict in VERDICTS[1 - praises]))
             for text, praises in zip(told, praise, strict=True)]
    assert 100 < sum(own for _, own, _ in ended) < 200 and not any(other for *_, other in ended)
    before = {text.partition(" .")[0] + " ." for text in told}
    assert not before & set(opinions(500, seed=1, held_out=True)[0])


def test_an_n_gram_model_says_what_followed():
    train = np.array([1, 5, 6, 2, 1, 5, 7, 2, 1, 8, 6, 2])
    found = {tuple(text) for text in babbled(train, start=1, end=2, count=200, order=3, seed=0)}
    assert found == {(5, 6, 2), (5, 7, 2), (8, 6, 2)}
    assert {(8, 7, 2)} <= {tuple(text) for text in babbled(train, start=1, end=2, count=300, order=1, seed=0)}
