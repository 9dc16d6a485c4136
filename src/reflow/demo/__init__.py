"""The demo behind `python -m reflow`: an insurance intake in the terminal.

`intake` is the flow, and the file to read first; `console` is what its steps talk to, `commands`
what may be typed instead of an answer, `words` what is read of free text, `progress` the list of
where everything stands, `news` what is told besides, `keyboard` where the lines come from, and
`terminal` runs it all. In `agent`, the same flow is led by an agent of LiveKit. Needs the extra
`demo`, and only uses what every program can import from `reflow`.
"""
