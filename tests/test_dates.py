"""Dates in four languages: as Babel writes them, no day both learned and held out."""
import datetime

import pytest
from babel.dates import format_date

from transformer.data.made import dates
from transformer.mistakes import Mistake

LANGUAGES = ("en", "fr", "de", "es")


def test_dates_are_what_babel_writes():
    days = [*dates.drawn(150, seed=0), datetime.date(2000, 1, 1), datetime.date(1987, 3, 21)]
    for weekday in (False, True):
        for day, one in zip([day for day in days for _ in range(12)],
                            dates.translations(days, LANGUAGES, every=True, seed=0, weekday=weekday), strict=True):
            source, target = one.direction.split("-")
            assert one.source == f">>{target}<< {format_date(day, 'long', source)}"
            assert one.target == format_date(day, "full" if weekday else "long", target)


def test_some_are_as_everyone_writes_them():
    (one, *_) = dates.translations([datetime.date(1789, 7, 14)], ("en", "fr"), every=True, seed=0)
    assert (one.source, one.target) == (">>fr<< July 14, 1789", "14 juillet 1789")


def test_no_day_is_both_learned_and_held_out():
    unseen = dates.drawn(100, seed=2)
    learned = dates.drawn(5000, seed=1, but=frozenset(unseen))
    assert len(set(unseen)) == 100 and len(set(learned)) == 5000 and not set(learned) & set(unseen)
    with pytest.raises(Mistake, match="only 72949"):
        dates.drawn(80_000, seed=1, but=frozenset(unseen))
    assert {one.direction for one in dates.translations(learned, LANGUAGES, every=False, seed=0)} == {
        f"{a}-{b}" for a in LANGUAGES for b in LANGUAGES if a != b}
