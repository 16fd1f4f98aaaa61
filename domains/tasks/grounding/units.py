"""Whether a source gives an amount in the same unit, or in another one of the same quantity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from fractions import Fraction
from functools import lru_cache

from autodata.domains.tasks.quantities import SHORT_SCALES, amounts, in_digits, letters, readings

_UNIT_SPELLINGS = (
    "m metre metres meter meters",
    "km kilometre kilometres kilometer kilometers",
    "cm centimetre centimetres centimeter centimeters",
    "mm millimetre millimetres millimeter millimeters",
    "ft foot feet",
    "mi mile miles",
    "g gram grams gramme grammes",
    "kg kilogram kilograms kilogramme kilogrammes kilo kilos",
    "lb lbs pound pounds",
    "ms millisecond milliseconds",
    "s sec secs second seconds",
    "min mins minute minutes",
    "h hr hrs hour hours",
    "Hz hertz",
    "kHz kilohertz",
    "MHz megahertz",
    "GHz gigahertz",
    "W watt watts",
    "kW kilowatt kilowatts",
    "MW megawatt megawatts",
    "V volt volts",
    "A amp amps ampere amperes",
    "J joule joules",
    "Pa pascal pascals",
    "bar bars",
    "K kelvin kelvins",
    "L l litre litres liter liters",
    "ml mL millilitre millilitres milliliter milliliters",
    "GB gigabyte gigabytes",
    "MB megabyte megabytes",
    "kB KB kilobyte kilobytes",
)
UNIT_OF_WORD: Mapping[str, str] = {word: row.split()[0] for row in _UNIT_SPELLINGS for word in row.split()}
_SIZES: Mapping[str, tuple[str, Fraction]] = {
    unit: (base, Fraction(str(size)))
    for base, units in (
        ("m", {"mm": "1/1000", "cm": "1/100", "m": 1, "km": 1000}),
        ("g", {"g": 1, "kg": 1000}),
        ("s", {"ms": "1/1000", "s": 1, "min": 60, "h": 3600}),
        ("Hz", {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}),
        ("W", {"W": 1, "kW": 10**3, "MW": 10**6}),
        ("L", {"ml": "1/1000", "L": 1}),
    )
    for unit, size in units.items()
}
"""Units of one kind, and how many of its base unit each is. Bytes are not here: a kilobyte is 1000 or 1024 of them."""
UNIT_BEHIND = re.compile(r"[ -]?([A-Za-z]{1,12})(?![A-Za-z0-9])")


def has_unit(unit: str, values: frozenset[Fraction], known: str) -> bool:
    """Whether a source writes a unit at all, and does not write the number with other units only."""
    if unit not in _units_of(known):
        return False
    beside = _units_beside(known)
    there = {one for value in values for one in beside.get(value, ())}
    return not there or None in there or unit in there


def same_size(unit: str, values: frozenset[Fraction], known: str) -> bool:
    """Whether a source gives the same amount in another unit, as 7.3 km for 7,300 m."""
    base, size = _SIZES.get(unit, ("", Fraction(0)))
    return bool(base) and not _sizes_of(known).isdisjoint((base, value * size) for value in values if value)


@lru_cache(maxsize=32)
def _sizes_of(text: str) -> frozenset[tuple[str, Fraction]]:
    """Return every amount of a source in base units, with its base unit."""
    known = ((number, *_SIZES[unit]) for number, unit in _amounts(text) if unit and unit in _SIZES)
    return frozenset((base, value * size) for number, base, size in known for value in number)


@lru_cache(maxsize=32)
def _units_beside(text: str) -> Mapping[Fraction, Set[str | None]]:
    """Return the units that stand behind each value of a source, None for another word or none."""
    found: dict[Fraction, set[str | None]] = {}
    for number, unit in _amounts(text):
        for value in number:
            found.setdefault(value, set()).add(unit)
    return found


@lru_cache(maxsize=32)
def _amounts(text: str) -> frozenset[tuple[frozenset[Fraction], str | None]]:
    """Return every number in digits and the unit behind it, None for another word or none. Each spelling once."""
    found: set[tuple[frozenset[Fraction], str | None]] = set()
    for spelling in amounts(text):
        for number in in_digits(spelling)[:1]:
            behind = UNIT_BEHIND.match(spelling, number.end)
            unit = UNIT_OF_WORD.get(behind[1]) if behind else None
            if unit and behind and behind[1].lower() in SHORT_SCALES:  # 3.5m is a length, or money in millions
                plain = readings(number.text)
                found.add((number.values - plain, None))
                found.add((plain, unit))
            else:
                found.add((number.values, unit))
    return frozenset(found)


@lru_cache(maxsize=32)
def _units_of(text: str) -> frozenset[str]:
    units = {UNIT_OF_WORD[word] for word in letters(text) if word in UNIT_OF_WORD}
    return frozenset(units | {"lb"} if "\u00a3" in text else units)  # pounds are money too


_SIGNS = (
    (r"\$ ?\d|\d ?\$", r"\$|dollar|usd|peso|cents?\b|bucks?\b"),
    (r"\u20ac ?\d|\d ?\u20ac", r"\u20ac|euro|eur\b"),
    (r"\u00a3 ?\d|\d ?\u00a3", r"\u00a3|pound|gbp|sterling|lira|quid|pence|shilling"),
    (r"\u00a5 ?\d|\d ?\u00a5", r"\u00a5|yen\b|yuan|jpy|cny|rmb|renminbi"),
    (r"\d ?\u00b0 ?C\b", r"\u00b0 ?C\b|\d ?C\b|\u2103|celsius|centigrade|degrees? C\b"),
    (r"\d ?\u00b0 ?F\b", r"\u00b0 ?F\b|\d ?F\b|\u2109|fahrenheit|degrees? F\b"),
)
"""A number with the sign of a currency or of a scale of heat, and all that says the same in a source."""
_CURRENCIES = 4
_SIGNED = tuple((re.compile(here), re.compile(there, re.IGNORECASE)) for here, there in _SIGNS)


def signs_missing(text: str, known: str) -> Iterator[str]:
    """Yield the numbers of an answer with the sign of a currency or a scale of heat where a source names others."""
    for at, (here, there) in enumerate(_SIGNED):
        others = _SIGNED[:_CURRENCIES] if at < _CURRENCIES else _SIGNED[_CURRENCIES:]
        match = here.search(text)
        if match and not there.search(known) and any(other.search(known) for _, other in others):
            yield match[0]
