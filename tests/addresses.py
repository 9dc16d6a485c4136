"""A flow that is included in others: an address, whose steps answer anew on every visit."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs
from support import Log, add

from reflow import Flow, IncludedStep, Results, Step, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Act = Callable[[Visit], Awaitable[str]]


@final
@attrs.frozen
class Address:
    """What the answers of the flow are made into."""

    street: str
    zip_code: str


@final
class AddressFlow:
    """The flow, its keys, and what was built of it."""

    def __init__(self, street: Act | None = None, zip_code: Act | None = None) -> None:
        """Declare the steps; without a function they answer at once."""
        self.flow = Flow("address")
        self.street: Step[str] = add(self.flow, "street", street)
        self.zip_code: Step[str] = add(self.flow, "zip_code", zip_code)
        self.built: list[Address] = []

    def build(self, results: Results) -> Address:
        """Make the answer, and keep that it was made."""
        self.built.append(Address(results[self.street], results[self.zip_code]))
        return self.built[-1]


@final
class Outer:
    """A flow with a step before and one after the address."""

    def __init__(
        self,
        inner: AddressFlow | None = None,
        *,
        name: Act | None = None,
        after: Act | None = None,
    ) -> None:
        """Declare name, address and after; the last depends on the address."""
        self.inner = inner or AddressFlow()
        self.flow = Flow("intake")
        self.log = Log()
        self.name: Step[str] = add(self.flow, "name", name)
        self.address: IncludedStep[Address] = self.flow.include(
            self.inner.flow, "the home address", id="address", build=self.inner.build
        )
        self.street: Step[str] = self.address.at(self.inner.street)
        self.zip_code: Step[str] = self.address.at(self.inner.zip_code)
        self.after: Step[str] = self.flow.step("after", id="after", depends_on=[self.address])(
            after or done
        )

    async def run(self) -> Results:
        """Run it; what happens is in the log."""
        return await self.flow.run(observers=[self.log])


async def done(visit: Visit) -> str:
    """Answer the same on every visit."""
    return "done"


def household() -> Flow[None]:
    """Make a flow with one inside one inside it."""
    address, inside, flow = AddressFlow(), Flow("inside"), Flow("household")
    members = add(inside, "members")
    inside.include(
        address.flow, "the address", id="address", build=address.build, depends_on=[members]
    )
    plan = add(flow, "plan")
    home = flow.include(inside, "the home", id="home", build=len, depends_on=[plan])
    add(flow, "last", done, depends_on=(home.at(members),))
    return flow
