"""Nobody may have more waiting than there is still room for."""

from __future__ import annotations

import pytest

from tocsin.engine.room import Full, Room


def fill(room: Room, *senders: str) -> dict[str, int]:
    """Let all of them send as much as they can, one signal in turn."""
    let_in = dict.fromkeys(senders, 0)
    left = set(senders)
    while left:
        for sender in senders:
            if sender in left:
                try:
                    room.check(sender, 1)
                except Full:
                    left.discard(sender)
                    continue
                room.let_in(sender, 1)
                let_in[sender] += 1
    return let_in


@pytest.mark.parametrize("greedy", [1, 2, 9])
def test_the_greedy_share_alike_and_leave_room_for_one_more(greedy: int) -> None:
    room = Room(1_000)
    let_in = fill(room, *(f"k{number}" for number in range(greedy)))
    assert all(abs(n - 1_000 / (greedy + 1)) <= greedy for n in let_in.values())
    room.check("quiet", 1)


def test_a_quiet_sender_is_let_in_however_many_are_greedy() -> None:
    room = Room(100)
    fill(room, *(f"k{number}" for number in range(500)))
    room.check("quiet", 64)


def test_what_the_database_has_judged_makes_room_again() -> None:
    room = Room(100)
    fill(room, "noisy")
    with pytest.raises(Full, match="noisy"):
        room.check("noisy", 1)
    room.begin_to_look()
    room.seen({"noisy": 10})
    room.check("noisy", 80)
    with pytest.raises(Full):
        room.check("noisy", 81)


def test_what_came_while_the_database_counted_is_not_forgotten() -> None:
    room = Room(100)
    room.begin_to_look()
    room.let_in("noisy", 40)
    room.seen({"noisy": 10})
    with pytest.raises(Full):
        room.check("noisy", 11)


def test_what_others_took_in_counts_too() -> None:
    room = Room(100)
    room.begin_to_look()
    room.seen({"noisy": 60, "other": 39})
    for sender in ("noisy", "other"):
        with pytest.raises(Full):
            room.check(sender, 1)
    room.check("quiet", 1)
