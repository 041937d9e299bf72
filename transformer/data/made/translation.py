"""English sentences and their French, by a grammar: genders, plurals, elision, and adjectives that stand before or after.

Every sentence knows which English word each of its French words stands for, so that a model's attention can be judged.
"""
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

MISSION = ("the cat sat on the mat .", "le chat s'assit sur le tapis .")
# English noun: French noun, its plural, whether it is feminine.
NOUNS = {
    "cat": ("chat", "chats", False), "dog": ("chien", "chiens", False), "mat": ("tapis", "tapis", False),
    "house": ("maison", "maisons", True), "table": ("table", "tables", True), "car": ("voiture", "voitures", True),
    "garden": ("jardin", "jardins", False), "bird": ("oiseau", "oiseaux", False), "tree": ("arbre", "arbres", False),
    "island": ("île", "îles", True), "school": ("école", "écoles", True), "woman": ("femme", "femmes", True),
    "man": ("homme", "hommes", False), "girl": ("fille", "filles", True), "boy": ("garçon", "garçons", False),
    "horse": ("cheval", "chevaux", False), "chair": ("chaise", "chaises", True), "mouse": ("souris", "souris", True),
}
IRREGULAR = {"woman": "women", "man": "men", "mouse": "mice"}
# English adjective: masculine, feminine, their plurals, the masculine before a vowel, whether it stands before its noun.
ADJECTIVES = {
    "small": ("petit", "petite", "petits", "petites", "petit", True), "big": ("grand", "grande", "grands", "grandes", "grand", True),
    "old": ("vieux", "vieille", "vieux", "vieilles", "vieil", True), "new": ("nouveau", "nouvelle", "nouveaux", "nouvelles", "nouvel", True),
    "beautiful": ("beau", "belle", "beaux", "belles", "bel", True), "black": ("noir", "noire", "noirs", "noires", "noir", False),
    "white": ("blanc", "blanche", "blancs", "blanches", "blanc", False), "green": ("vert", "verte", "verts", "vertes", "vert", False),
    "red": ("rouge", "rouge", "rouges", "rouges", "rouge", False), "quiet": ("calme", "calme", "calmes", "calmes", "calme", False),
}
SITS = {"sat": ("s'assit", "s'assirent"), "slept": ("dormit", "dormirent"), "waited": ("attendit", "attendirent"),
        "fell": ("tomba", "tombèrent"), "ran": ("courut", "coururent")}
SEES = {"saw": ("vit", "virent"), "followed": ("suivit", "suivirent"), "found": ("trouva", "trouvèrent"), "loved": ("aima", "aimèrent")}
PLACES = {"on": "sur", "under": "sous", "behind": "derrière", "near": "près de", "in": "dans"}


@dataclass(frozen=True)
class Sentence:
    """Words in both languages; `gold[t]` is the English word that French word t stands for.

    `content` says which French words are nouns, adjectives or verbs.
    """

    english: tuple[str, ...]
    french: tuple[str, ...]
    gold: tuple[int, ...]
    content: tuple[bool, ...]

    @property
    def source(self) -> str:
        return " ".join(self.english)

    @property
    def target(self) -> str:
        return " ".join(self.french)


Words = list[tuple[str, int, bool]]  # French words: which English one each stands for, and whether it has content


def sentences(count: int, seed: int, but: frozenset[str] = frozenset()) -> list[Sentence]:
    """Different sentences, without the mission's own and without those whose English is to be left out."""
    random, found = np.random.default_rng(seed), dict[str, Sentence]()
    while len(found) < count:
        one = sentence(random)
        if one.source != MISSION[0] and one.source not in but:
            found[one.source] = one
    return list(found.values())


def sentence(random: np.random.Generator) -> Sentence:
    """Somebody did something somewhere, or to somebody."""
    english: list[str] = []
    many = bool(random.random() < 0.3)
    french = _noun_phrase(random, english, many)
    if random.random() < 0.6:
        french += _word(random, english, SITS, many)
        place = str(random.choice(list(PLACES)))
        english.append(place)
        at, many = len(english) - 1, bool(random.random() < 0.3)
        words = PLACES[place].split()
        there = _noun_phrase(random, english, many)
        if words[-1] == "de":
            there = _contracted(there)
            words = words[:-1]
        french += [(word, at, False) for word in words] + there
    else:
        french += _word(random, english, SEES, many)
        french += _noun_phrase(random, english, bool(random.random() < 0.3))
    english.append(".")
    french.append((".", len(english) - 1, False))
    return Sentence(tuple(english), *(tuple(column) for column in zip(*french, strict=True)))


def _word(random: np.random.Generator, english: list[str], table: dict[str, tuple[str, str]], many: bool) -> Words:
    verb = str(random.choice(list(table)))
    english.append(verb)
    return [(table[verb][many], len(english) - 1, True)]


def _noun_phrase(random: np.random.Generator, english: list[str], many: bool) -> Words:
    """Article, adjective or not, noun; in French the adjective agrees, and stands where it must."""
    noun, known = str(random.choice(list(NOUNS))), bool(random.random() < 0.6)
    adjective = str(random.choice(list(ADJECTIVES))) if random.random() < 0.5 else None
    at = len(english)
    english.append("the" if known else "some" if many else "an" if (adjective or noun)[0] in "aeiou" else "a")
    english += [adjective] if adjective else []
    english.append(IRREGULAR.get(noun, noun + "s") if many else noun)
    single, plural, feminine = NOUNS[noun]
    words: Words = [(plural if many else single, len(english) - 1, True)]
    if adjective:
        *forms, before_vowel, before = ADJECTIVES[adjective]
        form = forms[2 * many + feminine]
        if before and not many and not feminine and _vowel(words[0][0]):
            form = before_vowel
        words.insert(0 if before else 1, (form, at + 1, True))
    if many:
        article = "les" if known else "de" if adjective and ADJECTIVES[adjective][-1] else "des"
    elif known:
        article = "l'" if _vowel(words[0][0]) else "la" if feminine else "le"
    else:
        article = "une" if feminine else "un"
    return [(article, at, False), *words]


def _contracted(phrase: Words) -> Words:
    """`de` joins the article after it: du, des, d'un; before the others it stays a word of its own."""
    (article, at, _), *rest = phrase
    joined = {"le": ["du"], "les": ["des"], "des": ["de"], "de": ["de"], "un": ["d'un"], "une": ["d'une"]}.get(article, ["de", article])
    return [*((word, at, False) for word in joined), *rest]


def _vowel(word: str) -> bool:
    return word[0] in "aeiouéîh"


def word_by_word(learned: list[Sentence], unseen: list[Sentence]) -> float:
    """How many sentences come out right when each English word becomes what it most often stands for, in English order."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for one in learned:
        for word, at in zip(one.french, one.gold, strict=True):
            seen[one.english[at]][word] += 1
    said = [" ".join(seen[word].most_common(1)[0][0] for word in one.english if word in seen) for one in unseen]
    return sum(guess == one.target for guess, one in zip(said, unseen, strict=True)) / len(unseen)
