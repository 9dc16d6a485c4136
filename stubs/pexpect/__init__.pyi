from collections.abc import Mapping, Sequence

class spawn:
    def __init__(
        self,
        command: str,
        args: Sequence[str] = ...,
        timeout: float = ...,
        *,
        env: Mapping[str, str] = ...,
    ) -> None: ...
    def expect(self, pattern: str) -> int: ...
    def wait(self) -> int: ...
