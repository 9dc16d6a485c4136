"""A wizard: while a step waits for its page, the Back button is a second task that goes back.

Run: python examples/wizard.py
"""

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from reflow import Flow, Run, Visit


class Page:
    """A page of the wizard: a field, and a Next button."""

    def __init__(self, label: str, field: str) -> None:
        self.label = label
        self.field = field
        self.next_clicked = anyio.Event()


class Window:
    """What the steps reach as `visit.deps`; it would be a window, or a browser."""

    def __init__(self, screen: ObjectSendStream[Page]) -> None:
        self.screen = screen

    async def ask(self, label: str, field: str) -> str:
        """Show a page, wait for its Next button."""
        page = Page(label, field)
        await self.screen.send(page)
        await page.next_clicked.wait()
        return page.field


booking = Flow[Window]("booking")


@booking.step("where to go")
async def town(visit: Visit[Window]) -> str:
    """Ask for the town; on a later visit, the field holds the answer of the one before."""
    return await visit.deps.ask("Where to?", visit.get(town, ""))


@booking.step("how many seats")
async def seats(visit: Visit[Window]) -> int:
    """Ask for the number of seats."""
    return int(await visit.deps.ask("Seats?", str(visit.get(seats, 1))))


@booking.step("the price", depends_on=[town, seats])
async def price(visit: Visit[Window]) -> int:
    """Show the price; shown again when the town or the seats have changed."""
    euros = 80 * visit[seats]
    await visit.deps.ask(f"{visit[seats]} to {visit[town]}, {euros} euros", "agreed")
    return euros


async def person(run: Run, screen: ObjectReceiveStream[Page]) -> None:
    """Be the person, who clicks on Back when the price is shown."""
    for text in ("Oslo", "2", "(Back)", "3", "agreed"):
        page = await screen.receive()
        print(f"{page.label} [{page.field}] {text}")
        if text == "(Back)":
            # The step that is interrupted by this comes again by itself.
            before = booking.steps.index(run.active) - 1
            if before >= 0:
                run.go_back(booking.steps[before])
        else:
            page.field = text
            page.next_clicked.set()


async def main() -> None:
    """Run the flow beside the person."""
    send, receive = anyio.create_memory_object_stream[Page]()
    run = booking.prepare(Window(send))
    async with send, receive, anyio.create_task_group() as tg:
        tg.start_soon(person, run, receive)
        results = await run.drive()
        print(f"Booked: {results[seats]} seats to {results[town]} for {results[price]} euros")


if __name__ == "__main__":
    anyio.run(main)
