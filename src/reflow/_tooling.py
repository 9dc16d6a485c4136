"""What the tools of all runs of a flow have in common: what a language model is told of its steps.

Ids and descriptions stand in the schemas, not in the descriptions of the tools: OpenAI takes no
tool's description of more than 1,024 characters, and a flow may have many steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, final

from ._codec_types import UnsupportedTypeError, declared_type
from ._errors import FlowError, listed
from ._schema import Readers
from ._schemas import any_of, brief, complete, described, exact_object
from ._step import options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._plan import Plan
    from ._schemas import Reader, Schema


@final
class Tooling:
    """The schemas of a flow's tools.

    Attributes:
        answerable: the positions of the steps that a model may answer.
        optional: the positions of the optional steps.
        revisitable: the positions of the steps that may be gone back to.
        readers: what reads the answers, by position.
    """

    __slots__ = (
        *("_answer", "_definitions", "_lines", "_names", "_values"),
        *("answerable", "optional", "readers", "revisitable"),
    )

    def __init__(self, plan: Plan) -> None:
        """Describe the steps, and make the readers of those that a model may answer.

        Raises:
            FlowError: naming every step whose values a model could not give.
        """
        numbered = list(enumerate(plan.steps))
        self._names: Final = plan.names
        # In one line each, whatever the author wrote.
        self._lines: Final = [
            f"- {step.id}: {' '.join(step.description.split())}" for step in plan.steps
        ]
        self.answerable: Final = [i for i, step in numbered if step.model_may_answer]
        self.optional: Final = [i for i, step in numbered if step.optional]
        self.revisitable: Final = [i for i, step in numbered if step.revisitable]
        self.readers: Final[dict[int, Reader]] = {}
        faults: list[str] = []
        readers = Readers()
        for i in self.answerable:
            step = plan.steps[i]
            try:
                declared = declared_type(options_of(step).typed_by)
                self.readers[i] = readers.reader(declared)
            except UnsupportedTypeError as exc:
                place = f"step {step.id!r} of flow {plan.flow!r} can't be answered by a model"
                faults.extend(f"{place}: {reason}" for reason in exc.reasons)
        if faults:
            raise FlowError(listed(faults))
        self._definitions: Final = readers.definitions.schemas
        told: dict[int, str] = {}
        for reader in self.readers.values():
            if id(reader) not in told:
                told[id(reader)] = brief(reader.schema, self._definitions)
        self._values: Final = {
            i: f"- {self._names[i]}: {told[id(reader)]}" for i, reader in self.readers.items()
        }
        # The latest schema of `answer`, and for which steps: mostly they stay the same.
        self._answer: tuple[Sequence[int], Schema] | None = None

    def go_back(self, positions: Sequence[int]) -> Schema:
        """Give the schema of what `go_back` takes."""
        item = self._id(positions)
        text = "The ids of the steps, in the order in which to ask:"
        steps: Schema = {
            "type": "array",
            "items": item,
            "minItems": 1,
            "description": self._list(text, positions),
        }
        return exact_object({"steps": steps}, ["steps"])

    def answer(self, positions: Sequence[int]) -> Schema:
        """Give the schema of what `answer` takes."""
        if self._answer is not None and self._answer[0] == positions:
            return self._answer[1]
        # Each reader is made once for all steps of its type.
        readers = {id(self.readers[i]): self.readers[i] for i in positions}
        value = any_of(reader.schema for reader in readers.values())
        text = "The answer"
        if len(readers) > 1:
            values = map(self._values.__getitem__, positions)
            text = "\n".join(["The answer; what it has to be depends on the step:", *values])
        parts = {"step": self._step(positions), "value": described(value, text)}
        schema = complete(exact_object(parts, parts), self._definitions)
        self._answer = list(positions), schema
        return schema

    def skip(self, positions: Sequence[int]) -> Schema:
        """Give the schema of what `skip` takes."""
        return exact_object({"step": self._step(positions)}, ["step"])

    def _step(self, positions: Sequence[int]) -> Schema:
        return {**self._id(positions), "description": self._list("The step's id:", positions)}

    def _id(self, positions: Sequence[int]) -> Schema:
        enum = [self._names[i] for i in positions]
        # An empty enum is refused by providers.
        return {"type": "string", "enum": enum} if enum else {"type": "string"}

    def _list(self, text: str, positions: Sequence[int]) -> str:
        lines = map(self._lines.__getitem__, positions)
        return "\n".join([text, *lines]) if positions else f"{text} there is none now"


def tooling_of(plan: Plan) -> Tooling:
    """Give what the tools of all runs of a plan have in common.

    Raises:
        FlowError: naming every step whose values a model could not give.
    """
    if plan.tooling is None:
        plan.tooling = Tooling(plan)
    # Nobody else writes there.
    return cast("Tooling", plan.tooling)
