"""Reads the tide gauge at Ferry Point and tells the office when no crossing may be made."""

CLOSING_LEVEL_M = 0.9
REOPENING_LEVEL_M = 1.1


def is_closed(level_m: float, was_closed: bool) -> bool:
    """Closed below 0.9 m; open again only above 1.1 m, so that waves do not ring the bell."""
    return level_m < (REOPENING_LEVEL_M if was_closed else CLOSING_LEVEL_M)


def notify_office(level_m: float) -> str:
    return f"TIDE-ALARM-7: {level_m:.2f} m at Ferry Point, crossings are stopped"
