"""The grammar of English and French: the mission's sentence, genders, plurals, order; which word stands for which."""
import numpy as np

from transformer.data.made import translation
from transformer.data.made.translation import sentence, sentences

MANY = sentences(4000, seed=0)


def french_of(english):
    return next(one.target for one in MANY if one.source.startswith(english))


def test_the_missions_sentence_can_be_said_and_is_held_out(monkeypatch):
    for table, words in (("NOUNS", ("cat", "mat")), ("SITS", ("sat",)), ("PLACES", ("on",))):
        monkeypatch.setattr(translation, table, {word: getattr(translation, table)[word] for word in words})
    english, french = translation.MISSION
    random = np.random.default_rng(3)
    said = next(one for one in iter(lambda: sentence(random), None) if one.source == english)
    assert english not in {one.source for one in sentences(300, seed=0)}
    assert said.target == french == "le chat s'assit sur le tapis ."


def test_adjectives_agree_and_stand_where_they_must():
    for english, french in (("the black cat ", "le chat noir "), ("the black house ", "la maison noire "),
                            ("the old man ", "le vieil homme "), ("the old tables ", "les vieilles tables "),
                            ("the tree ", "l' arbre "), ("some small ", "de petit"), ("a beautiful island ", "une belle île ")):
        assert french_of(english).startswith(french)
    assert any("près du " in one.target for one in MANY) and any("près des " in one.target for one in MANY)
    assert not any("de le " in one.target or "de les " in one.target or "de un " in one.target for one in MANY)


def test_every_french_word_knows_its_english_one():
    one = next(one for one in MANY if "black" in one.english and "sat" in one.english)
    assert one.english[one.gold[one.french.index("s'assit")]] == "sat"
    for one in MANY[:200]:
        assert len(one.gold) == len(one.french) == len(one.content)
        nouns = {word for single, plural, _ in translation.NOUNS.values() for word in (single, plural)}
        assert all(one.content[at] for at, word in enumerate(one.french) if word in nouns)


def test_learned_and_held_out_share_no_sentence():
    unseen = sentences(200, seed=2)
    learned = sentences(2000, seed=1, but=frozenset(one.source for one in unseen))
    assert len({one.source for one in learned}) == 2000 and not {one.source for one in learned} & {one.source for one in unseen}
