"""`python -m reflow --livekit`: the intake in an `AgentSession` of LiveKit, in text mode.

The flow is the one of the terminal, unchanged. `desk` is what its steps talk to here: each question
becomes an agent task; `model` is the language model, which follows the rules in `rules` instead of
a network; `conversation` is the session, with the terminal around it. Needs the extras `demo` and
`livekit`. Whoever has a real model, speech to text and text to speech gives these to the session,
and the rest stays as it is.
"""
