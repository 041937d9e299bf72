"""Sentences about places, languages and currencies, under their real names from CLDR, each word tagged as in CoNLL.

A name is held out or it is not: in the sentences to learn from no name of a held-out sentence occurs.
"""

import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from transformer.data.files import Tagged
from transformer.mistakes import Mistake

KINDS = ("place", "language", "money")
# In the last three only what comes after a name tells what it is.
TEMPLATES = [
    "We flew to {place} last week .", "The people of {place} elected a president .", "She was born in {place} and studied in {place} .",
    "{place} borders on {place} .", "He learned {language} at school .", "Her letter is written in {language} .",
    "They translate from {language} into {language} .", "{language} is spoken by few .", "It costs ten {money} .",
    "The bank changed {money} into {money} .", "{money} lost a tenth of its value .", "In {place} they speak {language} and pay in {money} .",
    "The prices in {place} are given in {money} .", "Few in {place} understand {language} .", "Nobody pays with {money} in {place} .",
    "We talked about {place} , whose harbours are deep .", "We talked about {language} , whose grammar is hard .",
    "We talked about {money} , whose coins are small .",
]


def names() -> dict[str, list[str]]:
    """English names of territories, languages and currencies, without those that have two meanings."""
    try:
        from babel import Locale
    except ImportError:
        raise Mistake("The names come from Babel: install the extra `data`, or give a file of your own.") from None
    english = Locale("en")
    found = [{name for code, name in table.items() if re.fullmatch(r"[\w&' ]+", name) and not (code.isdigit() or re.search(r"\d", name))}
             for table in (english.territories, english.languages, english.currencies)]
    return {kind: sorted(own - set().union(*(other for other in found if other is not own)))
            for kind, own in zip(KINDS, found, strict=True)}


def held_out_name(name: str) -> bool:
    return zlib.crc32(name.encode()) % 5 == 0


def sentences(count: int, seed: int, held_out: bool = False) -> list[Tagged]:
    rng = np.random.default_rng(seed)
    pools = {kind: [name for name in own if held_out_name(name) == held_out] for kind, own in names().items()}
    return [_sentence(TEMPLATES[rng.integers(len(TEMPLATES))], pools, rng) for _ in range(count)]


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """What is tagged: first word, word after the last, kind. An I that goes on with nothing begins, as CoNLL's judge has it."""
    found, begin, kind = set(), 0, ""
    for place, tag in enumerate([*tags, "O"]):
        part, _, own = tag.partition("-")
        if kind and (part != "I" or own != kind):
            found.add((begin, place, kind))
            kind = ""
        if part in ("B", "I") and not kind:
            begin, kind = place, own
    return found


def f1(truth: Sequence[Sequence[str]], given: Sequence[Sequence[str]]) -> float:
    """The harmonic mean of precision and recall of whole spans with their kinds."""
    pairs = [(spans(one), spans(other)) for one, other in zip(truth, given, strict=True)]
    right, all_true, all_given = (sum(sizes) for sizes in zip(*((len(t & g), len(t), len(g)) for t, g in pairs), strict=True))
    return 2 * right / max(all_true + all_given, 1)


def looked_up(learned: Sequence[Tagged], asked: Sequence[Tagged]) -> list[tuple[str, ...]]:
    """The baseline: every word gets the tag that it had most often, and none if it was never seen."""
    seen: dict[str, Counter[str]] = {}
    for one in learned:
        for word, tag in zip(one.words, one.tags, strict=True):
            seen.setdefault(word, Counter())[tag] += 1
    return [tuple(seen[word].most_common(1)[0][0] if word in seen else "O" for word in one.words) for one in asked]


def _sentence(template: str, pools: dict[str, list[str]], rng: np.random.Generator) -> Tagged:
    words: list[str] = []
    tags: list[str] = []
    for word in template.split():
        kind = word.strip("{}")
        if kind == word:
            words.append(word)
            tags.append("O")
            continue
        name = pools[kind][rng.integers(len(pools[kind]))].split()
        words += name
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)]
    return Tagged(tuple(words), tuple(tags), line=0)
