from collections.abc import Callable

class SpeechHandle:
    def add_done_callback(self, callback: Callable[[SpeechHandle], None]) -> None: ...
