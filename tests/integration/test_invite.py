# SPDX-License-Identifier: MIT
"""From `jabiructl invite` to a contact: a client registers with the token (XEP-0445, XEP-0401), logs in, is welcomed, and hears
what administrators announce (XEP-0133)."""
import re
from xml.etree import ElementTree

import pytest

from jabiru import wait_for
from raw import Raw
from slix import Client, run

PARS, REGISTER, ADMIN = "urn:xmpp:pars:0", "jabber:iq:register", "http://jabber.org/protocol/admin"
COMMANDS, DATA = "http://jabber.org/protocol/commands", "jabber:x:data"


@pytest.fixture
def server(make_server):
    server = make_server(host_lines='  admins = {"admin@localhost"}')
    server.add_user("admin@localhost")
    return server


def token_of(server, whom):
    link = server.ctl("invite", whom).stdout.splitlines()[0]
    assert link.startswith(f"xmpp:{whom}?register;"), link
    return re.search(r"preauth=([^;]+)", link).group(1)


class Newcomer(Client):
    """Registers on the encrypted stream, when its features say that one can, and then logs in there. slixmpp's own plugin would
    ask for the form first, and knows no tokens."""

    def __init__(self, *args, token, **kwargs):
        super().__init__(*args, **kwargs)
        self.token, self.made = token, False
        self.register_plugin("xep_0077")  # the element of the feature
        self.register_feature("register", self._register, restart=False, order=self["xep_0077"].order)

    async def _register(self, features):
        if self.made or "mechanisms" in self.features:
            return False
        self.made = True
        # slixmpp keeps such requests until the session has begun, so they go out as they are; a login comes behind them
        self.send_raw(f"<iq type='set' id='preauth' to='localhost'><preauth xmlns='{PARS}' token='{self.token}'/></iq>")
        self.send_raw(f"<iq type='set' id='wish' to='localhost'><query xmlns='{REGISTER}'><username>{self.requested_jid.user}</username>"
                      f"<password>{self.password}</password></query></iq>")
        return False


def run_command(admin, node, *fields):
    """A command of XEP-0050 with its form; fields are (name, value)."""
    first = admin.ask(f"<command xmlns='{COMMANDS}' node='{ADMIN}#{node}'/>", "set", "localhost")
    session = first[0].get("sessionid")
    form = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in (("FORM_TYPE", ADMIN), *fields))
    last = admin.ask(f"<command xmlns='{COMMANDS}' node='{ADMIN}#{node}' sessionid='{session}'><x xmlns='{DATA}' type='submit'>"
                     f"{form}</x></command>", "set", "localhost")
    assert last.get("type") == "result" and last[0].get("status") == "completed", ElementTree.tostring(last)


@pytest.mark.parametrize("whom", ["localhost", "juliet@localhost"])
def test_register_by_invitation(server, ca, whom):
    admin = Raw(server, ca).login("admin", "desk")
    run_command(admin, "set-welcome", ("welcome", "Welcome to Verona"))
    token = token_of(server, whom)

    async def story():
        juliet = await Newcomer(server, ca, "juliet", "balcony", password="star-crossed", token=token).login()
        assert juliet.made
        await juliet.body("Welcome to Verona")
        assert server.ctl("announce", "localhost", "Tea", "at", "five").stdout == "2 users\n"
        await juliet.body("Tea at five")
        await juliet.leave()
        again = await Client(server, ca, "juliet", "balcony", password="star-crossed").login()
        await again.ping()
        assert not again.arrived["message"]  # welcomed once
        await again.leave()
    run(story)
    assert "juliet@localhost" in server.ctl("user", "list").stdout
    admin.close()


def test_a_token_works_once(server, ca):
    token = token_of(server, "localhost")

    def register(name):
        stream = Raw(server, ca)
        stream.open_stream()
        shown = stream.ask(f"<preauth xmlns='{PARS}' token='{token}'/>", "set", "localhost")
        made = stream.ask(f"<query xmlns='{REGISTER}'><username>{name}</username><password>star-crossed</password></query>", "set", "localhost")
        stream.socket.close()
        return shown.get("type"), made.get("type")
    assert register("one") == ("result", "result")
    assert register("two")[1] == "error"
    assert "two@localhost" not in server.ctl("user", "list").stdout


def test_shut_down_by_command(server, ca):
    admin = Raw(server, ca).login("admin", "desk")
    run_command(admin, "shutdown", ("delay", "30"), ("announcement", "Going down"))
    assert server.process.poll() is None
    wait_for(lambda: server.process.poll() is not None, "the server's end", 60)
    assert server.ended_by_itself() == 0
    admin.socket.close()
