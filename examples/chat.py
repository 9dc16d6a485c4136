"""A chat: whatever the bot asks, "back email" goes back to the e-mail address.

The lines go over memory streams here, as they would over a socket. Run: python examples/chat.py
"""

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from reflow import Flow, GoBackError, Run, RunFinishedError, Visit


class Chat:
    """The bot's side of the chat: what the steps reach as `visit.deps`."""

    def __init__(self, to_user: ObjectSendStream[str], answers: ObjectReceiveStream[str]) -> None:
        self.to_user = to_user
        self.answers = answers

    async def ask(self, question: str) -> str:
        """Send the question, wait for the answer."""
        await self.to_user.send(question)
        return await self.answers.receive()


sign_up = Flow[Chat]("sign-up")


@sign_up.step("your name")
async def name(visit: Visit[Chat]) -> str:
    """Ask for the name."""
    return await visit.deps.ask("What is your name?")


@sign_up.step("your e-mail address")
async def email(visit: Visit[Chat]) -> str:
    """Ask for the e-mail address."""
    return await visit.deps.ask("What is your e-mail address?")


@sign_up.step("whether all of it is right", always_ask=True)
async def confirmed(visit: Visit[Chat]) -> bool:
    """Show the answers; asked again when one of them has changed."""
    return await visit.deps.ask(f"{visit[name]}, {visit[email]}: is that right?") == "yes"


async def listen(run: Run, lines: ObjectReceiveStream[str], answers: ObjectSendStream[str]) -> None:
    """Turn "back email" into a request; every other line is an answer to the step that asks."""
    async for line in lines:
        command, *steps = line.split()
        if command == "back":
            try:
                run.go_back(*steps)
            except (GoBackError, RunFinishedError) as refused:
                print(refused)
        else:
            await answers.send(line)


async def user(questions: ObjectReceiveStream[str], lines: ObjectSendStream[str]) -> None:
    """Be the user, who notices the typing error when it is too late, or would be."""
    for line in ("Ada", "ada@exmaple.org", "back email", "ada@example.org", "yes"):
        print("bot: ", await questions.receive())
        print("user:", line)
        await lines.send(line)


async def main() -> None:
    """Run the flow beside the user and the listener."""
    to_user, questions = anyio.create_memory_object_stream[str]()
    to_bot, lines = anyio.create_memory_object_stream[str]()
    to_step, answers = anyio.create_memory_object_stream[str]()
    run = sign_up.prepare(Chat(to_user, answers))
    async with to_user, questions, to_bot, lines, to_step, answers, anyio.create_task_group() as tg:
        tg.start_soon(user, questions, to_bot)
        tg.start_soon(listen, run, lines, to_step)
        results = await run.drive()
        print(f"Signed up: {results[name]} <{results[email]}>")
        tg.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
