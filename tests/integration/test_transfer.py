# SPDX-License-Identifier: MIT
"""All accounts in one file (XEP-0227): from one server to another, with clients that look at what arrived, and with their
archives; files of other servers; files that are wrong."""
import socket
import xml.etree.ElementTree as ET

import pytest

from raw import Raw
from test_pep import DEVICES, Device
from slix import Client, run

USER, MAM = "urn:xmpp:pie:0", "urn:xmpp:mam:2"


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


def test_what_is_included_stays_below_the_folder(make_server, tmp_path):
    """Also where the file has no folder, and the slash is written as an escape."""
    server, inner = make_server(), tmp_path / "inner.xml"
    inner.write_text(f"<user xmlns='{USER}' name='juliet' password='secret'/>")
    for path in (str(inner), "%2F" + str(inner)[1:], "a/../" + "../" * 20 + str(inner)[1:], "a/%2E%2e/b"):
        text = (f"<server-data xmlns='{USER}' xmlns:xi='http://www.w3.org/2001/XInclude'><host jid='localhost'>"
                f"<xi:include href='{path}'/></host></server-data>")
        done = server.ctl("user", "import", "-", password=text, check=False)
        assert "xi:include that is not supported" in done.stderr and "0 accounts made" in done.stdout, done


@pytest.mark.parametrize("text", ["", "<a/>", "<server-data>", f"<server-data xmlns='{USER}'><host jid='localhost'><user name='x'>",
                                  f"<server-data xmlns='{USER}'><!-- --></server-data>",
                                  f"<!DOCTYPE d [<!ENTITY e 'x'>]><server-data xmlns='{USER}'><host jid='localhost'><user name='x' password='&e;'/></host></server-data>",
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


def archived(server, ca, user="alice"):
    """What the archive has: id, time and body of each message."""
    client, found, after = Raw(server, ca).login(user, "desk", presence=False), [], ""
    while True:
        wanted = client.start_iq(f"<query xmlns='{MAM}'><set xmlns='http://jabber.org/protocol/rsm'><max>250</max>{after}</set></query>", "set")
        page = client.until(lambda e: e.get("id") == wanted)
        for message in page:
            result = message.find(f"{{{MAM}}}result")
            if result is not None:
                found.append((result.get("id"), result.find(".//{urn:xmpp:delay}delay").get("stamp"), result.findtext(".//{jabber:client}body")))
        assert page[-1].get("type") == "result", ET.tostring(page[-1])
        if page[-1].find(f"{{{MAM}}}fin").get("complete") == "true":
            client.close()
            return found
        after = f"<after>{found[-1][0]}</after>"


def test_archives_go_along(make_server, ca, tmp_path):
    """More than a page each way; ids stay, so that clients go on where they were."""
    first, second = make_server(), make_server()
    first.add_user("alice@localhost", "bob@localhost")
    bob = Raw(first, ca).login("bob", "desk")
    for number in range(250):
        bob.send(f"<message to='alice@localhost' type='chat'><body>number {number} &amp; &lt;more&gt;</body></message>")
    bob.ping()
    bob.close()
    there = archived(first, ca)
    assert [body for _, _, body in there] == [f"number {number} & <more>" for number in range(250)]
    file = tmp_path / "all.xml"
    first.ctl("user", "export", str(file))
    assert file.read_text().count("<archive ") == 2 and file.read_text().count(f"<result xmlns='{MAM}'") == 500
    ET.parse(file)
    done = second.ctl("user", "import", str(file))
    assert done.stdout == "2 accounts made, 0 not\n" and not done.stderr
    assert archived(second, ca) == there
    assert archived(second, ca, "bob") == archived(first, ca, "bob")
    alice = Raw(second, ca).login("alice", "phone", presence=False)  # words are found there, too
    form = ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
            "<field var='{urn:xmpp:fulltext:0}fulltext'><value>249</value></field></x>")
    wanted = alice.start_iq(f"<query xmlns='{MAM}'>{form}</query>", "set")
    assert len(alice.until(lambda e: e.get("id") == wanted)) == 2
    alice.close()
    again = second.ctl("user", "import", str(file), check=False)
    assert again.returncode == 1 and again.stderr.count("exists already") == 2 and archived(second, ca) == there


def result(stamp, text, name="x", sender="romeo@example.org/a", to="juliet@localhost", more=""):
    stamped = f"<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>" if stamp else ""
    return (f"<result xmlns='{MAM}' id='{name}'><forwarded xmlns='urn:xmpp:forward:0'>{stamped}<message xmlns='jabber:client' from='{sender}' to='{to}' "
            f"type='chat'><body>{text}</body>{more}</message></forwarded></result>")


def test_an_archive_of_another_server(make_server, ca, tmp_path):
    """It may stand anywhere, also in a file of its own; ids of others are replaced, and what can't be kept is named."""
    server = make_server()
    ours = "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='theirs'/>"
    (tmp_path / "all.xml").write_text(
        f"<server-data xmlns='{USER}' xmlns:xi='http://www.w3.org/2001/XInclude'><host jid='localhost'><user name='juliet' password='secret'>"
        f"<archive xmlns='{USER}#mam'>" + result("2010-07-10T23:08:25Z", "first", more=ours) + result("2010-07-10T23:08:25Z", "the same second") +
        result("", "without a time", "lost") + result("2009-01-01T00:00:00Z", "older") +
        result("2011-01-01T00:00:00Z", "sent", sender="juliet@localhost/b", to="romeo@example.org/a") + result("2999-01-01T00:00:00Z", "future") +
        "<strange xmlns='urn:example'/></archive><xi:include href='parts/roster.xml'/><query xmlns='jabber:iq:private'><a xmlns='b'><xi:include href='c'/></a></query>"
        "</user><user name='nurse' password='secret'><xi:include href='parts/archive.xml'/></user><user name='none' password='secret'>"
        "<xi:include href='parts/missing.xml'/></user></host></server-data>")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/roster.xml").write_text("<?xml version='1.0'?>\n<query xmlns='jabber:iq:roster'><item jid='romeo@example.org' subscription='none'/></query>\n")
    (tmp_path / "parts/archive.xml").write_text(f"<?xml version='1.0'?>\n<archive xmlns='{USER}#mam'>" +
                                                result("2010-07-10T23:08:25Z", "to the nurse", to="nurse@localhost") + "</archive>")
    done = server.ctl("user", "import", str(tmp_path / "all.xml"), check=False)
    assert done.returncode == 1 and done.stdout == "2 accounts made, 1 not\n", done
    assert "left out a message of the archive: lost" in done.stderr and "missing.xml" in done.stderr
    found = archived(server, ca, "juliet")
    assert [body for _, _, body in found] == ["first", "the same second", "older", "sent", "future"]
    assert [stamp[:10] for _, stamp, _ in found][:4] == ["2010-07-10", "2010-07-10", "2010-07-10", "2011-01-01"] and found[4][1] < "2999"
    assert len({name for name, _, _ in found}) == 5 and sorted(found) == found
    assert [body for _, _, body in archived(server, ca, "nurse")] == ["to the nurse"]
    juliet = Raw(server, ca).login("juliet", "desk")
    roster = juliet.ask("<query xmlns='jabber:iq:roster'/>")
    assert [item.get("jid") for item in roster[0]] == ["romeo@example.org"]
    private = juliet.ask("<query xmlns='jabber:iq:private'><a xmlns='b'/></query>")
    assert private[0][0].find("{http://www.w3.org/2001/XInclude}include") is not None
    form = ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
            "<field var='with'><value>romeo@example.org</value></field></x>")
    wanted = juliet.start_iq(f"<query xmlns='{MAM}'>{form}</query>", "set")
    results = juliet.until(lambda e: e.get("id") == wanted)
    assert len(results) == 6 and "theirs" not in ET.tostring(results[0], "unicode")
    juliet.close()


def test_an_archive_that_no_memory_holds(make_server, ca):
    """More than either end would hold of one account."""
    server = make_server()
    text = "x" * 60000
    count = (70 << 20) // len(text)
    entries = "".join(result(f"2010-07-10T{number // 60:02}:{number % 60:02}:00Z", text) for number in range(count))
    document = (f"<server-data xmlns='{USER}'><host jid='localhost'><user name='juliet' password='secret'><archive xmlns='{USER}#mam'>{entries}</archive></user>"
                "</host></server-data>")
    assert len(document) > 64 << 20
    assert server.ctl("user", "import", "-", password=document, seconds=120).stdout == "1 accounts made, 0 not\n"
    exported = server.ctl("user", "export", "-", seconds=120).stdout
    assert exported.count(f"<result xmlns='{MAM}'") == count and len(exported) > 64 << 20


def control(server, text):
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(server.control))
        door.sendall(text.encode())
        answer = b""
        while data := door.recv(65536):
            answer += data
    return answer.decode()


def send_part(server, extra, entries):
    body = (f"<server-data xmlns='{USER}'><host jid='localhost'><user name='juliet'><archive xmlns='{USER}#mam'>{entries}</archive></user></host></server-data>")
    return control(server, f"user import-archive {len(body)}\n{extra}\n\n{body}")


def test_what_an_import_leaves_behind_is_nobodys(make_server, ca, tmp_path):
    server = make_server()
    assert send_part(server, "first", result("2010-07-10T23:08:25Z", "one")) == "ok\n"
    assert send_part(server, "more", result("2010-07-10T23:08:26Z", "x" * 60000)) == "ok\n"  # head and body may come at once
    assert "too long" in control(server, "user list" + " " * 20000)
    server.add_user("juliet@localhost")  # somebody else
    assert archived(server, ca, "juliet") == []
    assert "exists already" in send_part(server, "first", result("2010-07-10T23:08:25Z", "one"))
    server.ctl("user", "del", "juliet@localhost")
    assert send_part(server, "first", result("2010-07-10T23:08:25Z", "broken off")) == "ok\n"
    (tmp_path / "all.xml").write_text(f"<server-data xmlns='{USER}'><host jid='localhost'><user name='juliet' password='secret'/></host></server-data>")
    server.ctl("user", "import", str(tmp_path / "all.xml"))
    assert archived(server, ca, "juliet") == []
    assert "no user" in control(server, "user import-archive 4\nfirst\n\n<a/>")
    assert "no id" in control(server, "user export-archive juliet@localhost nonsense\n\n")
