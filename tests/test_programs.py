"""Requests in words, expressions, and running them as the judge."""
import itertools

import pytest

from transformer.data.made.programs import (
    CHANGES,
    CHOICES,
    RESULTS,
    Request,
    harmless,
    nearest,
    outcome,
    requests,
    right,
)


def test_every_request_runs_and_what_is_held_out_is_new():
    learned, apart = requests(600, seed=0), requests(100, seed=1, held_out=True)
    assert len(learned) == 600 and len(apart) == 100
    assert all(outcome(one.expression, [3, -4, 8]) is not None and right(one.expression, one.expression) for one in learned + apart)

    def parts(one):
        return "".join("N" if letter in "3456789" else letter for letter in one.expression)

    assert not {parts(one) for one in learned} & {parts(one) for one in apart}


def test_each_two_parts_are_seen_together():
    import zlib
    seen = [parts for parts in itertools.product(RESULTS, CHANGES, CHOICES) if zlib.crc32(repr(parts).encode()) % 5]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        kinds = (RESULTS, CHANGES, CHOICES)
        assert {(parts[one], parts[other]) for parts in seen} == set(itertools.product(kinds[one], kinds[other]))


def test_a_request_reads_as_it_runs():
    assert outcome("sum ( [ x * x for x in xs if x % 2 == 0 ] )", [1, 2, 4]) == 20
    assert right("sum ( [ x * x for x in xs ] )", "sum([abs(x) * abs(x) for x in xs])")
    assert not right("sum ( [ x for x in xs ] )", "sum([abs(x) for x in xs])")
    assert not right("[ x for x in xs ]", "xs[::-1]") and not right("sum (", "sum(xs)")
    assert not right("len ( xs ) > 99", "0")


@pytest.mark.parametrize("expression", [
    "[ x for x in xs for x in xs ]", "xs * 9 * 9", "[ xs * 9 for x in xs ]", "[ [ x for x in xs ] for x in xs ]", "__import__ ( 1 )",
    "xs . clear ( )", "[ x ** 9 for x in xs", "sum ( [ x ] * 9 )", "lambda : 1", "max ( xs"])
def test_what_no_request_asks_for_is_not_run(expression):
    assert outcome(expression, [1, 2, 3]) is None


def test_the_nearest_request_shares_most_words():
    known = [Request("add up the numbers", "a"), Request("count the even numbers", "b")]
    assert nearest(known, [Request("how many even numbers", ""), Request("add up all", "")]) == ["b", "a"]
    assert harmless(__import__("ast").parse("xs[2:]", mode="eval"))
