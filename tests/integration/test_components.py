# SPDX-License-Identifier: MIT
"""External components (XEP-0114): a bot on slixmpp's ComponentXMPP, and biboumi, Debian's gateway to IRC, between a user
of ours and a local ngircd."""
import asyncio
import socket
import subprocess

import pytest
from slixmpp import ComponentXMPP

from jabiru import PATIENCE_S, free_ports, wait_for
from slix import Client, run

SECRET = "not-to-be-seen-anywhere"
MUC = "http://jabber.org/protocol/muc"


def configured(port, *domains):
    text = f"components {{\n  port = {port}\n}}\n"
    return text + "".join(f'component "{domain}" {{\n  secret = "{SECRET}"\n}}\n' for domain in domains)


class Bot(ComponentXMPP):
    """Says back what it hears, and says yes to everybody who asks for a subscription."""

    def __init__(self, port, domain="bot.localhost", secret=SECRET):
        super().__init__(domain, secret, "127.0.0.1", port)
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.add_event_handler("message", self._echo)
        self.auto_authorize, self.auto_subscribe = True, False
        self.connected_once, self.ended, self.stream_errors = asyncio.Event(), asyncio.Event(), []
        self.add_event_handler("session_start", lambda _: self.connected_once.set())
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.add_event_handler("stream_error", lambda error: self.stream_errors.append(error["condition"]))

    def _echo(self, message):
        if message["type"] in ("chat", "normal"):
            message.reply(f"echo: {message['body']}").send()

    async def come(self):
        self.connect()
        await asyncio.wait_for(self.connected_once.wait(), PATIENCE_S)
        return self

    async def ends(self):
        await asyncio.wait_for(self.ended.wait(), PATIENCE_S)


@pytest.fixture
def component_server(make_server):
    [port] = free_ports(1)
    server = make_server(lines=configured(port, "bot.localhost", "irc.localhost"))
    server.component_port = port
    server.add_user("alice@localhost")
    return server


def test_bot(component_server, ca):
    async def story():
        bot = await Bot(component_server.component_port).come()
        alice = await Client(component_server, ca, "alice", "a").login()
        alice.send_message("any@bot.localhost/where", "hello <&>", mtype="chat")
        answer = await alice.body("echo: hello <&>")
        assert answer["from"] == "any@bot.localhost/where" and answer["type"] == "chat"

        items = await alice["xep_0030"].get_items("localhost", timeout=PATIENCE_S)
        assert "bot.localhost" in [item[0] for item in items["disco_items"]["items"]]
        await alice["xep_0199"].send_ping("bot.localhost", timeout=PATIENCE_S)
        await bot["xep_0199"].send_ping(alice.boundjid, ifrom="bot.localhost", timeout=PATIENCE_S)

        await alice.whole_roster()
        alice.send_presence_subscription("friend@bot.localhost")
        await alice.wait("presence", lambda p: p["type"] == "subscribed" and p["from"] == "friend@bot.localhost")
        assert (await alice.whole_roster())["friend@bot.localhost"]["subscription"] == "to"
        await alice.leave()
        await bot.disconnect()
    run(story)
    assert SECRET not in component_server.text()


def test_admin(component_server):
    async def story():
        bot = await Bot(component_server.component_port).come()
        listed = component_server.ctl("components", "list").stdout.splitlines()
        assert any(line.startswith("bot.localhost 127.0.0.1:") for line in listed)
        assert "irc.localhost not connected" in listed
        refused = component_server.ctl("components", "close", "irc.localhost", check=False)
        assert refused.returncode == 1 and "no component" in refused.stderr
        component_server.ctl("components", "close", "bot.localhost")
        await bot.ends()
        assert bot.stream_errors == ["policy-violation"]
        await bot.disconnect()
    run(story)
    wait_for(lambda: "bot.localhost not connected" in component_server.ctl("components", "list").stdout, "its end")


def test_wrong_secret(component_server):
    async def story():
        bot = Bot(component_server.component_port, secret="wrong")
        bot.connect()
        await bot.ends()
        assert not bot.connected_once.is_set()
        await bot.disconnect()
    run(story)
    component_server.wait_log("wrong handshake for bot.localhost from 127.0.0.1")
    assert SECRET not in component_server.text()


def test_reload(component_server):
    """Domains come and go without a restart; whoever serves one that is gone is closed."""
    port, config = component_server.component_port, component_server.config
    before = config.read_text()

    async def story():
        bot = await Bot(port).come()
        config.write_text(before.replace('component "bot.localhost"', 'component "new.localhost"'))
        component_server.reload()
        await bot.ends()
        assert bot.stream_errors == ["host-gone"]
        await bot.disconnect()
        await (await Bot(port, "new.localhost").come()).disconnect()
    run(story)
    assert "bot.localhost" not in component_server.ctl("components", "list").stdout


# ---- biboumi

def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A daemon in the foreground with a log file, ended by its process id."""

    def __init__(self, folder, name, *args, **options):
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([name, *map(str, args)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=folder, **options)

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            raise AssertionError(f"{self.log.stem} did not stop:\n{self.text()}") from None


@pytest.fixture
def irc(tmp_path):
    """An ngircd of our own; its port."""
    [port] = free_ports(1)
    config = tmp_path / "ngircd.conf"
    config.write_text(f"""[Global]
Name = irc.test.example
Info = a server for tests
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
ServerGID = 65534
ServerUID = 65534
[Limits]
MaxConnectionsIP = 0
[Options]
DNS = no
Ident = no
PAM = no
""")
    config.chmod(0o644)
    program = Program(tmp_path, "ngircd", "--nodaemon", "--config", config)
    try:
        wait_for(lambda: answers(port), f"ngircd:\n{program.text()}")
        yield port
    finally:
        program.stop()


@pytest.fixture
def gateway(component_server, tmp_path):
    config = tmp_path / "biboumi.cfg"
    config.write_text(f"""hostname=irc.localhost
password={SECRET}
xmpp_server_ip=127.0.0.1
port={component_server.component_port}
db_name={tmp_path / 'biboumi.sqlite'}
identd_port=0
log_level=1
policy_directory=/etc/biboumi
""")
    program = Program(tmp_path, "biboumi", config)
    try:
        wait_for(lambda: "irc.localhost 127.0.0.1:" in component_server.ctl("components", "list").stdout,
                 "biboumi to connect")
        yield program
    finally:
        program.stop()


class IrcUser:
    """Somebody on IRC, by hand."""

    def __init__(self, port, nick):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.lines = self.socket.makefile("r", encoding="utf-8", errors="replace", newline="\r\n")
        self.say(f"NICK {nick}", f"USER {nick} 0 * :{nick}")
        self.sees(" 001 ")

    def say(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())

    def sees(self, wanted):
        for line in self.lines:
            if line.startswith("PING "):
                self.say("PONG " + line[5:].strip())
            elif wanted in line:
                return line.strip()
        raise AssertionError(f"the connection ended before {wanted!r}")

    def close(self):
        self.lines.close()
        self.socket.close()


async def choose_port(alice, server, port):
    """biboumi's ad-hoc command (XEP-0050): where the IRC server listens, for this user."""
    plugin = alice["xep_0050"]
    form = await plugin.send_command(server, "configure", timeout=PATIENCE_S)
    session = form["command"]["sessionid"]
    filled = alice["xep_0004"].make_form(ftype="submit")
    for field in form["command"]["form"].get_fields().values():
        value = {"ports": str(port), "tls_ports": ""}.get(field["var"], field["value"])
        if field["var"] and value not in (None, ""):
            filled.add_field(field["var"], ftype=field["type"], value=value)
    done = await plugin.send_command(server, "configure", action="complete", payload=filled, sessionid=session,
                                     timeout=PATIENCE_S)
    assert done["command"]["status"] == "completed", str(done)


def test_biboumi(component_server, irc, gateway, ca):
    """A channel of an IRC network, joined by a user of ours through the gateway; messages go both ways."""
    room, server = "#jabiru%127.0.0.1@irc.localhost", "127.0.0.1@irc.localhost"
    carol = IrcUser(irc, "carol")
    carol.say("JOIN #jabiru")
    carol.sees("JOIN")

    async def from_irc(call, *args):
        return await asyncio.get_running_loop().run_in_executor(None, call, *args)

    async def story():
        alice = Client(component_server, ca, "alice", "a")
        for plugin in ("xep_0004", "xep_0050"):
            alice.register_plugin(plugin)
        await alice.login()
        await choose_port(alice, server, irc)

        join = alice.make_presence(pto=f"{room}/alice")
        join.append(alice.make_presence().xml.makeelement(f"{{{MUC}}}x", {}))
        join.send()
        await alice.wait("presence", lambda p: p["from"] == f"{room}/carol")
        await alice.wait("presence", lambda p: p["from"] == f"{room}/alice")
        await from_irc(carol.sees, "JOIN")

        alice.send_message(room, "hello from XMPP", mtype="groupchat")
        assert "hello from XMPP" in await from_irc(carol.sees, "PRIVMSG #jabiru")
        carol.say("PRIVMSG #jabiru :hello from IRC")
        message = await alice.wait("message", lambda m: m["body"] == "hello from IRC")
        assert message["from"] == f"{room}/carol" and message["type"] == "groupchat"

        alice.send_message(f"{room}/carol", "just for you", mtype="chat")
        assert "just for you" in await from_irc(carol.sees, "PRIVMSG carol")
        carol.say("PRIVMSG alice :and for you")
        await alice.body("and for you")

        leave = alice.make_presence(pto=f"{room}/alice", ptype="unavailable")
        leave.send()
        await from_irc(carol.sees, "PART")
        await alice.leave()
    try:
        run(story)
    finally:
        carol.close()
