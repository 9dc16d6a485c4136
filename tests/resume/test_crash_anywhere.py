"""Random flows whose process dies anywhere: it makes no difference to what comes out."""

from __future__ import annotations

import anyio
from hypothesis import given, settings
from journals import KEY, journal_of
from random_flows import Declaration, declare
from scripted_person import Person, Script, cases, outcomes
from states import unsettled_needs
from support import Log

from reflow import MemoryJournal
from reflow._machine import Machine
from reflow._plan import Plan
from reflow._replay import apply


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_crash_makes_no_difference(case: tuple[list[Declaration], Script]) -> None:
    """Cut off behind every single row, a run comes to the same end."""
    crash_everywhere(*case)


@settings(max_examples=60, deadline=None)
@given(cases(nested=True))
def test_a_crash_inside_an_included_flow_makes_none_either(
    case: tuple[list[Declaration], Script],
) -> None:
    """The rows carry the full addresses, so it goes on where it was, inside."""
    crash_everywhere(*case)


def crash_everywhere(declared: list[Declaration], script: Script) -> None:
    """Run the flow, and once more from every row on; compare the outcomes."""

    async def main() -> None:
        log, journal, person = Log(), MemoryJournal(), Person(script)
        flow = declare(declared, person.responds)
        results = await flow.run(journal=journal, key=KEY, return_exceptions=True, observers=[log])
        expected = outcomes(flow, results)
        rows = await journal.read(KEY)
        assert len(rows) == len(log)
        machine = Machine(Plan("random", flow.steps))
        for crash in range(len(rows)):
            survivor = Person(script)
            survivor.remembers(machine, log[:crash])
            again = declare(declared, survivor.responds)
            left = await journal_of(rows[:crash])
            resumed = await again.run(journal=left, key=KEY, return_exceptions=True)
            active = machine.active
            if active < 0 or not unsettled_needs(machine, active):
                # Else what it needs is asked first, which the visit didn't wait for.
                assert outcomes(again, resumed) == expected, crash
            apply(machine, log[crash])

    anyio.run(main)
