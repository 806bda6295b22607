"""Exact money: sums that cannot round unnoticed, and the few figures that are rounded on purpose."""

from __future__ import annotations

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, localcontext
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

EXACT_DIGITS = 120
"""Far more than a sum of bounded amounts (values.py) can reach; beyond it decimal.Inexact is raised."""
ROUNDED_PLACES = 10
"""Decimal places of a saving that comes out of a division; it is rounded down."""
PERCENT_PLACES = 2
ZERO = Decimal(0)


def exact_arithmetic() -> AbstractContextManager[Context]:
    """Within it, decimal sums, differences and products are exact, or raise decimal.Inexact."""
    traps = [Inexact, InvalidOperation, DivisionByZero, Overflow]
    return localcontext(Context(prec=EXACT_DIGITS, traps=traps))


def decimal_text(amount: Decimal) -> str:
    """Return the amount in plain notation without trailing zeros: one text for each value."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def rounded_down(amount: Fraction) -> Decimal:
    """Return the largest decimal of ROUNDED_PLACES that is not above the amount."""
    return Decimal(floor(amount * 10**ROUNDED_PLACES)).scaleb(-ROUNDED_PLACES, Context(prec=EXACT_DIGITS))


def percentage_text(part: Decimal, whole: Decimal) -> str:
    """Return part ÷ whole in percent, rounded half to even at PERCENT_PLACES; whole must not be zero."""
    ratio = Fraction(part) / Fraction(whole)
    scaled = round(ratio * 100 * 10**PERCENT_PLACES)
    return decimal_text(Decimal(scaled).scaleb(-PERCENT_PLACES, Context(prec=EXACT_DIGITS)))
