"""The examples: they run on every backend, and print what they promise."""

from __future__ import annotations

import runpy
from functools import partial
from pathlib import Path

import anyio
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

CHAT = """\
bot:  What is your name?
user: Ada
bot:  What is your e-mail address?
user: ada@exmaple.org
bot:  Ada, ada@exmaple.org: is that right?
user: back email
bot:  What is your e-mail address?
user: ada@example.org
bot:  Ada, ada@example.org: is that right?
user: yes
Signed up: Ada <ada@example.org>
"""

WIZARD = """\
Where to? [] Oslo
Seats? [1] 2
2 to Oslo, 160 euros [agreed] (Back)
Seats? [2] 3
3 to Oslo, 240 euros [agreed] agreed
Booked: 3 seats to Oslo for 240 euros
"""

PRINTED = {"chat.py": CHAT, "wizard.py": WIZARD}


@pytest.mark.parametrize("name", PRINTED)
def test_an_example(
    name: str,
    anyio_backend: tuple[str, dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is started as a program, and goes back in the middle of it."""
    backend, options = anyio_backend
    monkeypatch.setattr(anyio, "run", partial(anyio.run, backend=backend, backend_options=options))
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert capsys.readouterr().out == PRINTED[name]


def test_no_example_is_forgotten() -> None:
    """Whoever adds one says here what it prints."""
    elsewhere = {"voice_intake.py"}  # see tests/voice/test_dispatch.py
    assert {path.name for path in EXAMPLES.glob("*.py")} == PRINTED.keys() | elsewhere
