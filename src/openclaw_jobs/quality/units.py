"""Units, scales and currencies as they stand behind a number."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

SCALES: Final[Mapping[str, Decimal]] = {
    "k": Decimal(10**3), "thousand": Decimal(10**3), "m": Decimal(10**6), "mio": Decimal(10**6),
    "million": Decimal(10**6), "millions": Decimal(10**6), "bn": Decimal(10**9),
    "billion": Decimal(10**9), "billions": Decimal(10**9), "trillion": Decimal(10**12),
    "hundred": Decimal(100),
}  # fmt: skip
"""What multiplies a number. A lone `m` does so only behind a currency; else it is metres."""

CURRENCIES: Final[Mapping[str, str]] = {
    "$": "usd", "us$": "usd", "usd": "usd", "dollar": "usd", "dollars": "usd", "€": "eur",
    "eur": "eur", "euro": "eur", "euros": "eur", "£": "gbp", "gbp": "gbp", "pounds": "gbp",
    "¥": "jpy", "jpy": "jpy", "yen": "jpy", "chf": "chf",
}  # fmt: skip

_TABLE: Final = """
%: 1 % | 1 percent | 1 pct
m: 0.001 mm | 0.001 millimetres | 0.001 millimeters | 0.01 cm | 0.01 centimetres
m: 0.01 centimeters | 1 m | 1 metre | 1 meter | 1 metres | 1 meters | 1000 km
m: 1000 kilometre | 1000 kilometer | 1000 kilometres | 1000 kilometers
mi: 1 mile | 1 miles | 1 mi
ft: 1 ft | 1 foot | 1 feet
g: 0.001 mg | 0.001 milligrams | 1 g | 1 gram | 1 grams | 1000 kg | 1000 kilo | 1000 kilos
g: 1000 kilogram | 1000 kilograms | 1000000 t | 1000000 tonne | 1000000 tonnes
lb: 1 lb | 1 lbs
s: 0.001 ms | 0.001 milliseconds | 1 s | 1 sec | 1 second | 1 seconds | 60 min | 60 mins
s: 60 minute | 60 minutes | 3600 h | 3600 hr | 3600 hrs | 3600 hour | 3600 hours | 86400 day
s: 86400 days | 604800 week | 604800 weeks
mon: 1 month | 1 months | 12 year | 12 years
l: 0.001 ml | 0.001 millilitres | 1 l | 1 litre | 1 liter | 1 litres | 1 liters
celsius: 1 °c | 1 celsius
fahrenheit: 1 °f | 1 fahrenheit
degree: 1 ° | 1 degrees
km/h: 1 km/h | 1 kmh | 1 kph
mph: 1 mph
byte: 1000 kb | 1000000 mb | 1000000000 gb | 1000000000000 tb
kwh: 1 kwh
"""


def _units() -> dict[str, tuple[str, Decimal]]:
    found: dict[str, tuple[str, Decimal]] = {}
    for line in _TABLE.strip().splitlines():
        unit, _, names = line.partition(": ")
        for entry in names.split(" | "):
            factor, name = entry.split(" ")
            found[name] = (unit, Decimal(factor))
    return found


UNITS: Final[Mapping[str, tuple[str, Decimal]]] = _units()
"""For each name of a unit the unit that it is counted in, and how many of it."""
