"""Which processor gave which results: those of different makes give other last digits in training.

machine.json is believed as it stands, so whoever writes it can claim any processor (docs/threat-model.md).
"""

from typing import Any

from pneumo.record.record import Record


def named(record: Record) -> str:
    """The processor of a record's results, in words."""
    about = _processor(record)
    vendor = _vendor(record)
    if vendor is None:
        return "an unknown processor"
    numbers = [f"{key} {about[key]}" for key in ("family", "model") if isinstance(about.get(key), int)]
    return ", ".join([vendor, *numbers])


def other_makes(committed: Record, made: Record) -> str | None:
    """Both processors in words where they may be of different makes, as one may that nobody noted; otherwise None."""
    vendors = {_vendor(committed), _vendor(made)}
    if len(vendors) == 1 and None not in vendors:
        return None
    return f"made on {named(committed)}, run again on {named(made)}"


def _vendor(record: Record) -> str | None:
    vendor = _processor(record).get("vendor")
    return vendor if isinstance(vendor, str) and vendor else None


def _processor(record: Record) -> dict[str, Any]:
    about = record.machine.get("processor")
    return about if isinstance(about, dict) else {}
