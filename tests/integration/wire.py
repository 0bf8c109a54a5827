# SPDX-License-Identifier: MIT
"""A wire between servers that can be cut: a forwarder of TCP connections on 127.0.0.1, in threads of its own."""
import contextlib
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)


class Wire:
    """Whoever connects to `port` is connected to `target`."""

    def __init__(self, target):
        self.target, self._pairs, self._lock = target, [], threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                except OSError:
                    self._reset(near)
                    continue
                far.settimeout(None)
                with self._lock:
                    self._pairs.append((near, far))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one, other):
        try:
            while data := one.recv(65536):
                self._flows.wait()
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _reset(end):
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.close()

    def cut(self):
        """All connections end at once, with what was on its way; new ones are let through."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def stall(self):
        """From now on nothing comes through, and nobody is told."""
        self._flows.clear()

    def heal(self):
        """What was on its way is lost with its connections; new ones work."""
        self.cut()
        self._flows.set()

    def close(self):
        self._listener.close()
        self.heal()
