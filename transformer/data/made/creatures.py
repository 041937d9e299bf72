"""Sentences about animals and people, from which the meaning of words can be learned by the company they keep.

A young animal is like its parents but for its age, a queen is like a king but for being a woman: so cat is to kitten as
dog is to puppy. What kind of word each is, is known.
"""

import numpy as np


def _words(text: str) -> list[str]:
    return text.split()


ANIMALS = list(zip(_words("cat dog cow horse sheep duck lion goat swan pig"),
                   _words("kitten puppy calf foal lamb duckling cub kid cygnet piglet"), strict=True))
PEOPLE = list(zip(_words("king prince actor waiter uncle host monk wizard duke hero"),
                  _words("queen princess actress waitress aunt hostess nun witch duchess heroine"), strict=True))
AGES = (_words("old grown heavy wise strong slow"), _words("tiny newborn playful clumsy soft weak"))
MANNERS = _words("proud polite famous tired generous shy")
# What animals do and where, what people do and with what: each sort has three habits of its own, which others share in part.
DOES = (_words("runs jumps climbs swims feeds calls digs hides plays roams"), _words("dances rides reads sings writes prays bows works talks dines"))
WHERE = (_words("barn meadow pond forest yard hill stable field river garden"), _words("coach crown book ring hat cup letter candle mirror sword"))
OFTEN, VERY = _words("often never always"), _words("very rather quite")
OWN = (("his", "himself"), ("her", "herself"))
HABITS = (0, 1, 4)
KINDS = {
    "creature": [word for pair in (*ANIMALS, *PEOPLE) for word in pair],
    "verb": [*DOES[0], *DOES[1]],
    "thing": [*WHERE[0], *WHERE[1]],
    "adjective": [*AGES[0], *AGES[1], *MANNERS],
}
LITTLE = ["<end>", "the", "in", "with", *OFTEN, *VERY, *(word for pair in OWN for word in pair)]
WORDS = [*LITTLE, *(word for words in KINDS.values() for word in words)]
ANALOGIES = [(*one, *other) for group in (ANIMALS, PEOPLE) for one in group for other in group if one != other]


def creatures(words: int, seed: int) -> np.ndarray:
    """The numbers of at least so many words, as WORDS counts them; <end> closes each sentence."""
    rng = np.random.default_rng(seed)
    number = {word: place for place, word in enumerate(WORDS)}
    found: list[int] = []
    while len(found) < words:
        found += [number[word] for word in _sentence(rng)]
    return np.array(found, np.int32)


def kinds() -> np.ndarray:
    """The kind of each word, as KINDS counts them; -1 for the little words, which are of none."""
    of = {word: place for place, words in enumerate(KINDS.values()) for word in words}
    return np.array([of.get(word, -1) for word in WORDS])


def _sentence(rng: np.random.Generator) -> list[str]:
    def one(words: list[str]) -> str:
        return words[rng.integers(len(words))]

    def habit(words: list[str], sort: int) -> str:
        return words[(sort + HABITS[rng.integers(3)]) % 10] if rng.random() < 0.9 else one(words)

    person, second, sort = (int(rng.integers(many)) for many in (2, 2, 10))
    adjective = one(MANNERS if person else AGES[second if rng.random() < 0.8 else 1 - second])
    said = ["the", *([one(VERY)] if rng.random() < 0.5 else []), adjective] if rng.random() < 0.4 else ["the"]
    said += [(PEOPLE if person else ANIMALS)[sort][second], *([one(OFTEN)] if rng.random() < 0.5 else []), habit(DOES[person], sort)]
    if person and rng.random() < 0.3:
        said.append(OWN[second][1])
    if rng.random() < 0.8:
        said += [*(("with", OWN[second][0]) if person else ("in", "the")), habit(WHERE[person], sort)]
    return [*said, "<end>"]
