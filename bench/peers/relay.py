# SPDX-License-Identifier: MIT
"""The bare TCP relay of relay.c: what a server could reach if it had nothing to do but pass bytes on."""
import pathlib
import shutil

from .base import Peer


class Relay(Peer):
    name = "relay"
    speaks_xmpp = False

    def __init__(self, scratch, binary):
        super().__init__(scratch)
        self.binary = pathlib.Path(binary)

    def configure(self):
        shutil.copy(self.binary, self.folder / "relay")  # where an unprivileged user may read it

    def accounts(self, groups):
        pass

    def commands(self):
        return [[self.folder / "relay", "--port", self.port, "--tls-port", self.tls_port, "--cert", self.cert,
                 "--key", self.key]]

    def version(self):
        return "-"
