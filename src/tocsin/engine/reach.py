"""By which ways the settings reach anybody, and whose each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.surroundings import Contact, Directory

if TYPE_CHECKING:
    from tocsin.store.contacts import ContactRow

DELIVERED, FAILING, UNTESTED = "delivered", "failing", "untested"


class Way(msgspec.Struct, frozen=True):
    """One contact, and whose it is: names of people, audiences and channels.

    ``people`` are the ids of those who are paged by it. ``missing`` says what keeps anything from
    leaving by it, "" where nothing does.
    """

    contact: Contact
    whose: tuple[str, ...]
    people: tuple[str, ...] = ()
    missing: str = ""

    def state(self, known: Mapping[str, ContactRow]) -> str:
        """Return how its last delivery went: "delivered", "failing", or "untested" without one."""
        row = known.get(str(self.contact))
        if row is None:
            return UNTESTED
        return FAILING if row.is_failing else DELIVERED


def ways(directory: Directory, watchdog: Iterable[str] = ()) -> tuple[Way, ...]:
    """Return every contact of the settings once: those of people first, in the settings' order.

    ``watchdog`` are those that are told when Tocsin itself is in trouble.
    """
    found: dict[Contact, Way] = {}

    def add(contact: Contact, name: str, *people: str) -> None:
        known = found.get(
            contact, Way(contact, (), (), directory.unconnected.get(str(contact), ""))
        )
        found[contact] = msgspec.structs.replace(
            known,
            whose=(*known.whose, name),
            people=(*known.people, *people),
        )

    for person in directory.people.values():
        for contact in person.contacts:
            add(contact, person.name, person.id)
    for audience, contacts in directory.audiences.items():
        for contact in contacts:
            add(contact, f"audience {audience}")
    for channel, contact in directory.channels.items():
        add(contact, f"channel {channel}")
    for name in watchdog:
        kind, _, address = name.partition(":")
        add(Contact(kind, address), "watchdog")
    return tuple(found.values())
