"""Agreement and nesting: what is asked for has one right answer, and no row is both learned and held out."""
import numpy as np
import pytest

from transformer.data.examples import example
from transformer.data.made import clauses
from transformer.data.ngrams import preferences


def rows(data):
    for row in range(len(data)):
        one = example(data, row)
        yield [*one["tokens"].tolist(), int(one["targets"][-1])], one


@pytest.mark.parametrize("make", [clauses.clauses, clauses.brackets])
def test_no_row_is_learned_and_held_out(make):
    learned, unseen = ({tuple(tokens) for tokens, _ in rows(make(300, seed, held_out))} for seed, held_out in ((0, False), (1, True)))
    assert learned and unseen and not learned & unseen


def test_verbs_agree_with_their_subject():
    plural = {form: pair.index(form) for pair in (*clauses.NOUNS, *clauses.VERBS, *clauses.DOES) for form in pair}
    nouns = {form for pair in clauses.NOUNS for form in pair}
    asked = 0
    for tokens, one in rows(clauses.clauses(100, seed=0)):
        words = [clauses.WORDS[token] for token in tokens]
        last = words.index(".") - 1  # the verb of the first noun
        between = [plural[word] for word in words[3:last] if word in nouns]
        assert plural[words[last]] == plural[words[2]]
        assert one["group"][last - 1] == min(3, sum(number != plural[words[2]] for number in between))
        foil = clauses.WORDS[one["foil"][last - 1]]
        assert plural[foil] != plural[words[last]] and foil.rstrip("s") == words[last].rstrip("s")
        asked += (one["group"] >= 0).sum()
        assert ((one["group"] >= 0) == (one["foil"] > 0)).all() and (one["weights"] == (one["targets"] > 0)).all()
    assert asked > 100  # relative clauses ask too


def test_brackets_close_what_was_opened():
    for tokens, one in rows(clauses.brackets(50, seed=0, deepest=4)):
        opened, deepest = [], 0
        for at, token in enumerate(tokens[1:]):
            bracket = clauses.BRACKETS[token]
            if bracket in "([":
                opened.append((bracket, at))
                deepest = max(deepest, len(opened))
            elif bracket in ")]":
                begun, where = opened.pop()
                assert begun + bracket in ("()", "[]")
                assert one["group"][at] == np.searchsorted([1, 10, 20], at - where)
                assert {clauses.BRACKETS[one["foil"][at]], bracket} == {")", "]"}
        assert not opened and 0 < deepest <= 4


def test_counting_prefers_what_it_saw_after_the_longest_history():
    train = np.array([1, 2, 3, 1, 2, 3, 9, 2, 4, 9, 2, 4, 9, 2, 4])
    histories = np.array([[1, 2], [9, 2], [7, 2], [7, 8]])
    found = preferences(train, histories, np.array([3, 3, 3, 5]), np.array([4, 4, 4, 6]), order=3)
    assert found.tolist() == [1.0, 0.0, 0.0, 0.5]
