# SPDX-License-Identifier: MIT
"""Our own server, as the build made it.

OPEN: the configuration file and the import of accounts are a proposal until jabirud and jabiructl exist.
"""
import pathlib
import shutil

from .base import Peer, PeerError


class Jabiru(Peer):
    name = "jabiru"

    def __init__(self, scratch, binary):
        super().__init__(scratch)
        self.binary = pathlib.Path(binary)

    def configure(self):
        shutil.copy(self.binary, self.folder / "jabirud")  # where an unprivileged user may read it

    def accounts(self, count, rostered=0):
        raise PeerError("bench/peers/jabiru.py: not written yet: accounts for jabirud")

    def commands(self):
        return [[self.folder / "jabirud", "--config", self.folder / "jabirud.conf"]]

    def version(self):
        return "this build"
