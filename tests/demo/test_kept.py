"""`python -m reflow --journal URL --key KEY`: the intake goes on where it was left."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeAlias

import anyio
import pytest
from person import ANSWERED, CARD, typist

from reflow import Flow, Visit
from reflow.__main__ import main
from reflow.journal import SQLiteJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

Talk: TypeAlias = "Callable[[Sequence[str]], tuple[int, str]]"
PROMISE = " Your answers are kept: the same command goes on with them.\n"


@pytest.fixture
def types(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Generator[Callable[[Sequence[str]], None]]:
    """Give what types lines."""
    yield from typist(monkeypatch, tmp_path / "input")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a journal that isn't there yet."""
    return f"sqlite:///{tmp_path}/intake.db"


@pytest.fixture(params=["asyncio", "trio"])
def talk(
    request: pytest.FixtureRequest,
    types: Callable[[Sequence[str]], None],
    capsys: pytest.CaptureFixture[str],
    url: str,
) -> Talk:
    """Give what leads one conversation under a key; it gives the exit code and what was printed."""

    def talk(lines: Sequence[str]) -> tuple[int, str]:
        types(lines)
        code = main(["--backend", str(request.param), "--journal", url, "--key", "call-42"])
        printed, complaints = capsys.readouterr()
        assert complaints == ""
        return code, printed

    return talk


def test_goes_on_at_the_same_question(talk: Talk) -> None:
    """Nothing that was answered is asked again, and the person sees what is kept."""
    code, printed = talk(ANSWERED[:-1])
    assert (code, printed.count("Welcome")) == (1, 0)
    assert printed.endswith(f"Left early, nothing was signed: the input has ended.{PROMISE}")
    code, printed = talk([CARD, "yes"])
    assert code == 0
    before, asked = printed.split("(8/9) Your card number?")
    assert "\nWelcome back, Ada Lovelace! This is what is kept:\n" in before
    assert "✓  2  email      done     ada@example.org" in before
    assert "·  8  card       to come" in before
    assert "asked for again" not in before
    assert "/9)" not in before
    assert asked.endswith("card: Card | None = Card(number=<set>)\n")


def test_the_card_is_asked_again(talk: Talk, tmp_path: Path) -> None:
    """It is sensitive: it is in no file, and the person is told why it is asked again."""
    talk(ANSWERED)
    for file in tmp_path.glob("intake.db*"):
        assert b"1111" not in file.read_bytes()
    code, printed = talk([CARD, "yes"])
    assert code == 0
    assert (
        "Your card is sensitive: it is never kept, so it is asked for again.\n"
        "(8/9) Your card number? \n"
    ) in printed


def test_signed_already(talk: Talk) -> None:
    """The contract is shown again, and nothing asked; but for the card it is all there."""
    talk([*ANSWERED, "yes"])
    code, printed = talk(["never", "read"])
    assert code == 0
    assert "/9)" not in printed
    assert printed.endswith("""\
This is signed already:
  name: str = 'Ada Lovelace'
  email: str = 'ada@example.org'
  phone: str | None = None
  birthday: date = datetime.date(1990, 12, 10)
  plan: Plan = <Plan.COMFORT: 'comfort'>
  members: list[str] | None = None
  doctor: Doctor = <Doctor.DREW: 'Dr. Drew'>
  card: Card | None = not kept
""")


def test_nothing_is_known_yet(talk: Talk) -> None:
    """Whoever left at the first question has no name to be greeted by."""
    talk([])
    code, printed = talk([*ANSWERED, "yes"])
    assert code == 0
    assert "\nWelcome back! This is what is kept:\n" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--journal", "memory:"], "--journal and --key go together"),
        (["--key", "call-42"], "--journal and --key go together"),
        (["--journal", "memory:", "--key", ""], "--key must not be empty"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """A key without a journal, or the other way round, can't be meant."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (["cattrs"], 'cattrs not found; run: python -m pip install "reflow[journal]"'),
        (["rich", "cattrs"], 'rich, cattrs not found; run: python -m pip install "reflow[demo]"'),
    ],
)
def test_missing_extra(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    missing: list[str],
    said: str,
) -> None:
    """What a journal needs is only missed where there is one to be."""
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as ended:
        main(["--journal", "memory:", "--key", "call-42"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def complaint(url: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Begin an intake that comes to nothing, and give the sentence that says why."""
    assert main(["--journal", url, "--key", "call-42"]) == 1
    return capsys.readouterr().err


def test_no_such_journal(
    capsys: pytest.CaptureFixture[str], types: Callable[[Sequence[str]], None], url: str
) -> None:
    """A journal that can't be used is a sentence, not a traceback."""
    types(ANSWERED)
    assert complaint("intake.db", capsys).startswith("python -m reflow: a journal's URL is sqlite:")
    said = complaint(url.replace("intake.db", "nowhere/intake.db"), capsys)
    assert said.startswith("python -m reflow: the run of flow 'intake' with key 'call-42' can't be")
    assert "its folder doesn't exist" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ("intake", "this key was used when the questions were others ("),
        ("another", "the run of flow 'intake' with key 'call-42' can't be resumed: "),
    ],
)
def test_the_key_of_another_flow(
    capsys: pytest.CaptureFixture[str],
    types: Callable[[Sequence[str]], None],
    url: str,
    flow: str,
    said: str,
) -> None:
    """What doesn't fit is left alone, and that is said in one sentence, too."""
    other = Flow(flow)

    @other.step("the age")
    async def age(visit: Visit) -> int:
        return 36

    with SQLiteJournal(url.removeprefix("sqlite:///")) as journal:

        async def run() -> None:
            await other.run(journal=journal, key="call-42")

        anyio.run(run)
    types(ANSWERED)
    complained = complaint(url, capsys)
    assert complained.startswith(f"python -m reflow: {said}")
    assert complained.count("\n") == 1


def test_in_memory(
    capsys: pytest.CaptureFixture[str], types: Callable[[Sequence[str]], None]
) -> None:
    """A journal that has nothing to close does, too."""
    types([*ANSWERED, "yes"])
    assert main(["--journal", "memory:", "--key", "call-42"]) == 0
    assert "Signed." in capsys.readouterr().out
