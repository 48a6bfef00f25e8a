"""Template filters: moments, sums, sizes — written as the reader's language writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_currency, format_decimal
from flask import Flask

from appliances.common.i18n import language


def install(app: Flask) -> None:
    app.jinja_env.filters.update(
        bytes_of=bytes_of,
        day=day,
        escape_pattern=escape_pattern,
        exact=exact,
        iso=iso,
        number=number,
        relative=relative,
        sum_of=sum_of,
    )


def moment(value: datetime | str) -> datetime:
    """A moment given as datetime or in ISO 8601; without a zone it is UTC."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def iso(value: datetime | str) -> str:
    """For machines: ISO 8601 in UTC, to the second."""
    return moment(value).astimezone(UTC).isoformat(timespec="seconds")


def exact(value: datetime | str) -> str:
    """Date and time to the second, in UTC; the browser shows its own zone instead when JavaScript is on."""
    return str(format_datetime(moment(value).astimezone(UTC), "d MMM y, HH:mm:ss", locale=language())) + " UTC"


def relative(value: datetime | str) -> str:
    """Distance from now: “5 minutes ago”, “через 2 часа”."""
    distance = moment(value) - datetime.now(UTC)
    return str(format_timedelta(distance, add_direction=True, threshold=1.2, locale=language()))


def day(value: datetime | str) -> str:
    """A date without time."""
    return str(format_date(moment(value), "d MMM y", locale=language()))


def sum_of(minor: int, currency: str = "RUB") -> str:
    """An amount in minor units (kopecks) with its currency sign."""
    return str(format_currency(Decimal(minor) / 100, currency, locale=language()))


def number(value: int | Decimal) -> str:
    """A number with the thousands apart."""
    return str(format_decimal(value, locale=language()))


def bytes_of(size: int) -> str:
    """A size in bytes, in the binary unit that fits."""
    amount, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    if language() == "ru":
        units = ["Б", "КиБ", "МиБ", "ГиБ", "ТиБ"]
    place = 0
    while amount >= 1024 and place < len(units) - 1:
        amount, place = amount / 1024, place + 1
    return f"{format_decimal(round(amount, 1), locale=language())} {units[place]}"


def escape_pattern(text: str) -> str:
    """`text` as an HTML `pattern` that matches exactly it; browsers refuse escapes of any other character."""
    return re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\1", text)
