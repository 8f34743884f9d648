"""What is remembered is bounded, ends, and never brings back what was from before a change."""

from __future__ import annotations

from understudy_client._remembered import KEPT_SECONDS, Held, Remembered

HELD = Held("groq/any-model", [])


def test_it_has_a_bound_and_drops_what_was_used_longest_ago() -> None:
    remembered = Remembered(entries_max=2)
    for key in ("a", "b"):
        remembered.keep(key, HELD, 0)
    assert remembered.find("a")[0] == HELD
    remembered.keep("c", HELD, 0)
    assert [remembered.find(key)[0] for key in ("a", "b", "c")] == [HELD, None, HELD]


def test_it_ends_with_its_time() -> None:
    now = [0.0]
    remembered = Remembered(now=lambda: now[0])
    remembered.keep("a", HELD, 0)
    now[0] = KEPT_SECONDS - 1
    assert remembered.find("a")[0] == HELD
    now[0] = KEPT_SECONDS
    assert remembered.find("a")[0] is None


def test_what_was_looked_up_before_a_change_is_not_kept_after_it() -> None:
    remembered = Remembered()
    _, ticket = remembered.find("a")
    remembered.forget("a")
    remembered.keep("a", HELD, ticket)
    assert remembered.find("a")[0] is None
