# SPDX-License-Identifier: MIT
"""A program in a terminal, driven as a person would: keys in, screen out. One private tmux server for each terminal."""
import shlex
import subprocess

from jabiru import PATIENCE_S, wait_for


class Terminal:
    def __init__(self, folder, command, environment):
        self._socket = folder / "tmux"
        words = ["env", *[f"{key}={value}" for key, value in environment.items()], *command]
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "50", shlex.join(words))

    def _tmux(self, *words, check=True):
        done = subprocess.run(["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, timeout=PATIENCE_S)
        assert not check or done.returncode == 0, f"tmux {words}: {done.stderr}"
        return done.stdout

    def put(self, text):
        self._tmux("send-keys", "-l", text)

    def type(self, line):
        self.put(line)
        self._tmux("send-keys", "Enter")

    def press(self, key):
        """A key by its name for tmux: Down, C-y, Space, or a character."""
        self._tmux("send-keys", key)

    def screen(self):
        return self._tmux("capture-pane", "-p", "-J")

    def wait(self, *texts):
        """Until one of the texts is on the screen; returns which."""
        last = [""]

        def look():
            last[0] = self.screen()
            return next((text for text in texts if text in last[0]), None)
        try:
            return wait_for(look, texts)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; the screen:\n{last[0]}") from None

    def end(self):
        self._tmux("kill-server", check=False)
