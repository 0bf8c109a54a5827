# SPDX-License-Identifier: MIT
"""All accounts in one file (XEP-0227): from one server to another, with clients that look at what arrived; files of other
servers; files that are wrong."""
import pytest

from raw import Raw
from test_pep import DEVICES, Device
from slix import Client, run

USER = "urn:xmpp:pie:0"



async def fill(server, ca):
    """Alice and Bob see each other; Alice has a node; Carol has asked; and Bob wrote while Alice was away."""
    alice, bob = await Device(server, ca, "alice", "desk").online(), await Client(server, ca, "bob", "desk").login()
    carol = await Client(server, ca, "carol", "desk").login()
    alice.send_presence_subscription("bob@localhost", ptype="subscribe")
    await bob.subscription("subscribe", alice)
    bob.send_presence_subscription("alice@localhost", ptype="subscribed")
    await alice.subscription("subscribed", bob)
    carol.send_presence_subscription("alice@localhost", ptype="subscribe")
    await alice.subscription("subscribe", carol)
    await alice.publish(DEVICES, "<devices xmlns='urn:xmpp:omemo:2'><device id='7' label='a &lt; b'/></devices>", access_model="open")
    await alice.ping()
    await alice.leave()
    await bob.ping()
    for text in ("ok\nerror: no\n\nlast", "second"):
        bob.send_message("alice@localhost", text, mtype="chat")
    await bob.ping()
    await bob.leave()
    await carol.leave()


async def look(server, ca):
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        await (await Client(server, ca, "bob", "desk", mechanism=mechanism).login()).leave()
    alice = await Device(server, ca, "alice", "desk").online()
    first, second = await alice.body("ok\nerror: no\n\nlast"), await alice.body("second")
    assert first["from"].full == "bob@localhost/desk" and first.xml.find("{urn:xmpp:delay}delay") is not None
    assert len(first.xml.findall("{urn:xmpp:delay}delay")) == 1
    roster = await alice.whole_roster()
    assert list(roster) == ["bob@localhost"] and roster["bob@localhost"]["subscription"] == "to"
    assert (await alice.wait("presence", lambda p: p._get_attr("type") == "subscribe"))["from"].bare == "carol@localhost"
    devices = (await alice.items("alice@localhost", DEVICES))["current"]
    assert devices[0].get("id") == "7" and devices[0].get("label") == "a < b"
    await alice.leave()
    assert second["body"] == "second"


def test_to_another_server_and_back(make_server, ca, tmp_path):
    first, second = make_server(), make_server()
    first.add_user("alice@localhost", "bob@localhost", "carol@localhost", "dora@localhost")
    run(fill, first, ca)
    first.ctl("user", "disable", "dora@localhost")
    file = tmp_path / "all.xml"
    first.ctl("user", "export", str(file))
    assert file.stat().st_mode & 0o077 == 0
    done = second.ctl("user", "import", str(file))
    assert done.stdout == "4 accounts made, 0 not\n" and not done.stderr
    again = tmp_path / "again.xml"
    second.ctl("user", "export", str(again))
    assert again.read_text() == file.read_text()
    run(look, second, ca)
    with pytest.raises(AssertionError, match="not-authorized|account-disabled"):
        Raw(second, ca).login("dora", "desk")
    second.ctl("user", "enable", "dora@localhost")
    Raw(second, ca).login("dora", "desk").close()
    twice = second.ctl("user", "import", str(file), check=False)
    assert twice.returncode == 1 and "0 accounts made, 4 not" in twice.stdout and "exists" in twice.stderr


FILES = {
    "all.xml": f"<?xml version='1.0'?><server-data xmlns='{USER}' xmlns:xi='http://www.w3.org/2001/XInclude'>"
               "<xi:include href='localhost.xml'/><host jid='nowhere.example'><user name='x'/></host>"
               "<host jid='localhost'><user name='plain' password='p&#228;ss'/></host></server-data>",
    "localhost.xml": f"<host xmlns='{USER}' xmlns:xi='http://www.w3.org/2001/XInclude' jid='localhost'>"
                     "<xi:include href='localhost/%6Auliet.xml'/><xi:include href='../secret.xml'/>"
                     "<user name='none'><strange xmlns='urn:example'/></user></host>",
    "localhost/juliet.xml": f"""<?xml version='1.0'?>
<user xmlns='{USER}' name='Juliet' password='secret'><query xmlns='jabber:iq:roster'>
<item jid='romeo@localhost' name='R &amp; J' subscription='both'><group>Friends</group></item><item jid='not an address'/></query>
<query xmlns='jabber:iq:privacy'><default name='l'/><list name='l'><item type='jid' value='paris@localhost' action='deny' order='1'/>
<item action='allow' order='2'/></list></query></user>""",
}


def test_a_file_of_another_server_in_pieces(make_server, ca, tmp_path):
    server = make_server()
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = server.ctl("user", "import", str(tmp_path / "all.xml"), check=False)
    assert done.returncode == 1 and done.stdout == "3 accounts made, 1 not\n"
    for word in ("not served here", "xi:include", "left out the element strange", "not an address", "a rule of a privacy list",
                 "none@localhost: has no password"):
        assert word in done.stderr, done.stderr
    Raw(server, ca).login("plain", "desk", password="päss").close()
    juliet = Raw(server, ca).login("juliet", "desk")
    roster = juliet.ask("<query xmlns='jabber:iq:roster'/>")
    item, = roster[0].findall("{jabber:iq:roster}item")
    assert item.attrib == {"jid": "romeo@localhost", "name": "R & J", "subscription": "both"} and item[0].text == "Friends"
    blocked = juliet.ask("<blocklist xmlns='urn:xmpp:blocking'/>")
    assert [one.get("jid") for one in blocked[0]] == ["paris@localhost"]
    juliet.close()


@pytest.mark.parametrize("text", ["", "<a/>", "<server-data>", f"<server-data xmlns='{USER}'><host jid='localhost'><user name='x'>",
                                  f"<server-data xmlns='{USER}'><!-- --></server-data>",
                                  f"<server-data xmlns='{USER}'><host jid='localhost'><user name='x'/></host>"])
def test_a_file_that_is_wrong(server, tmp_path, text):
    (tmp_path / "wrong.xml").write_text(text)
    done = server.ctl("user", "import", str(tmp_path / "wrong.xml"), check=False)
    assert done.returncode == 1 and "wrong.xml: " in done.stderr, done


def test_many_accounts_through_pipes(make_server, ca):
    server = make_server(c2s_lines="  scram-iterations = 4096")
    users = "".join(f"<user name='u{number}' password='secret'/>\n" for number in range(300))
    text = f"<server-data xmlns='{USER}'>\n<host jid='localhost'>\n{users}</host></server-data>"
    assert server.ctl("user", "import", "-", password=text).stdout == "300 accounts made, 0 not\n"
    assert server.ctl("user", "export", "-").stdout.count("<user name=") == 300
    Raw(server, ca).login("u299", "desk").close()
