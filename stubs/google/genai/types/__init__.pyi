class FunctionDeclaration:
    @classmethod
    def model_validate(cls, obj: dict[str, object]) -> FunctionDeclaration: ...
    def model_dump(
        self, *, exclude_unset: bool, by_alias: bool, mode: str
    ) -> dict[str, object]: ...

class Tool:
    function_declarations: list[FunctionDeclaration] | None
    def __init__(self, *, function_declarations: list[FunctionDeclaration]) -> None: ...
