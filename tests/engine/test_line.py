"""Who is next, when more wants to be decided than can be at once."""

from __future__ import annotations

from tocsin.engine.line import STREAMS_MAX, Line


def line_of(*streams: tuple[str, str]) -> Line:
    line = Line()
    for stream, sender in streams:
        line.add(stream, sender)
    return line


def taken(line: Line) -> list[str]:
    found = []
    while (following := line.take()) is not None:
        found.append(following.stream)
    return found


def test_the_desk_of_a_quiet_sender_is_next_however_many_a_noisy_one_has():
    line = line_of(*((f"desk/n{n}", "noisy") for n in range(5_000)), ("desk/q", "quiet"))
    assert [line.take().stream for _ in range(2)] == ["desk/n0", "desk/q"]


def test_senders_take_turns():
    line = line_of(("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c"))
    assert taken(line) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_stream_that_comes_back_goes_to_the_end_of_its_line():
    line = line_of(("storm", "a"), ("other", "a"))
    first = line.take()
    line.add(first.stream, first.sender)
    assert taken(line) == ["other", "storm"]


def test_what_people_did_goes_first_wherever_it_stood():
    line = line_of(*((f"a{n}", "a") for n in range(9)))
    line.add("a7", is_urgent=True)
    line.add("a7", "a")
    assert taken(line) == ["a7", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a8"]


def test_a_stream_in_somebody_s_hands_is_passed_over_and_keeps_its_place():
    line = line_of(("a1", "a"), ("a2", "a"), ("b1", "b"))
    assert line.take(busy={"a1"}).stream == "a2"
    assert line.take(busy={"a1", "b1"}) is None
    assert taken(line) == ["b1", "a1"]


def test_the_line_has_an_end_and_people_are_let_in_all_the_same():
    line = line_of(*((f"s{n}", "a") for n in range(STREAMS_MAX + 10)))
    assert len(line) == STREAMS_MAX
    line.add("person", is_urgent=True)
    assert line.take().stream == "person"
