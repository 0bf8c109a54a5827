# SPDX-License-Identifier: MIT
"""Stream management (XEP-0198) with real connections: two clients exchange numbered messages while their connections
are cut at random points, a thousand times, and the server is killed with -9 ten times (or --kills N). What one has sent, the
other gets exactly once and in order. And slixmpp, which comes back by itself."""
import asyncio
import random
import time

from slix import Client, run
from sm_client import Cutter, SmClient

CUTS, SECONDS, SECONDS_A_KILL = 1000, 200, 6
PLAIN = "  require-tls = false\n  insecure-login = true\n  scram-iterations = 4096\n"


class Talk:
    def __init__(self, server, seed, kills):
        self.server, self.random, self.kills = server, random.Random(seed), kills
        self.sent = {}

    async def begin(self):
        self.cutter = await Cutter(self.server.port, self.random).start()
        self.clients = [SmClient(self.cutter.port, user, "phone") for user in ("alice", "bob")]
        self.cutter.armed = False
        self.lives = [asyncio.ensure_future(client.run()) for client in self.clients]
        for client in self.clients:
            client.send("<presence/>")
            client.sent = 0
        await self.quiet()
        self.cutter.armed = True

    def check_alive(self):
        for life in self.lives:
            if life.done():
                life.result()

    async def quiet(self):
        """Until nobody waits for an acknowledgement."""
        end = time.monotonic() + 30
        while any(client.waiting or not client.ready.is_set() for client in self.clients):
            self.check_alive()
            assert time.monotonic() < end, [client.state() for client in self.clients]
            for client in self.clients:
                client.ask()
            await asyncio.sleep(0.02)

    def say(self, client, other):
        client.sent += 1
        to = f"{other.user}@localhost" + self.random.choice(("", "/phone"))
        client.send(f"<message to='{to}' type='chat' id='{client.sent}'><body>{client.sent}</body></message>")
        dice = self.random.random()
        if dice < 0.1:
            client.send(f"<presence><status>{client.sent}</status></presence>")
        elif dice < 0.2:
            client.send(f"<iq type='get' id='p{client.sent}'><ping xmlns='urn:xmpp:ping'/></iq>")
        if self.random.random() < 0.3:
            client.ask()

    async def talk(self):
        alice, bob = self.clients
        kills, seconds = 0, SECONDS + SECONDS_A_KILL * self.kills
        end = time.monotonic() + seconds
        while self.cutter.cuts < CUTS or kills < self.kills:
            assert time.monotonic() < end, (f"{self.cutter.cuts} cuts and {kills} kills in {seconds} s; "
                                            f"{[client.state() for client in self.clients]}")
            self.check_alive()
            for client, other in ((alice, bob), (bob, alice)):
                if len(client.waiting) < 50:
                    self.say(client, other)
                else:
                    client.ask()
            await asyncio.sleep(self.random.uniform(0, 0.004))
            if kills < self.kills and self.cutter.cuts >= (kills + 0.5) * CUTS / self.kills:
                kills += 1
                await asyncio.get_running_loop().run_in_executor(None, self.restart)

    def restart(self):
        self.server.kill()
        self.server.start()

    async def finish(self):
        self.cutter.armed = False
        await self.quiet()
        end = time.monotonic() + 30
        for client, other in (self.clients, self.clients[::-1]):
            while len(other.bodies) < client.sent and time.monotonic() < end:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)  # what came twice would come now
        for life in self.lives:
            life.cancel()
        await asyncio.gather(*self.lives, return_exceptions=True)
        self.cutter.server.close()

    def judge(self):
        for client, other in (self.clients, self.clients[::-1]):
            wanted = [str(number) for number in range(1, client.sent + 1)]
            if other.bodies != wanted:
                at = next((i for i, pair in enumerate(zip(other.bodies, wanted)) if pair[0] != pair[1]), len(wanted))
                raise AssertionError(f"{client.user} sent {len(wanted)}, {other.user} got {len(other.bodies)}; from {at} on: "
                                     f"{other.bodies[max(0, at - 3):at + 10]}")


def test_every_message_arrives_once_and_in_order(make_server, kills):
    server = make_server(c2s_lines=PLAIN)
    server.add_user("alice@localhost", "bob@localhost")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")

    async def run():
        talk = Talk(server, seed, kills)
        await talk.begin()
        await talk.talk()
        await talk.finish()
        talk.judge()
        print(f"{[client.sent for client in talk.clients]} messages, {talk.cutter.cuts} cuts, {kills} kills, "
              f"{[client.resumed for client in talk.clients]} resumptions")

    asyncio.run(run())


def test_slixmpp_resumes(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")

    async def story():
        alice = await Client(server, ca, "alice", "desk").login()
        bob = Client(server, ca, "bob", "phone")
        bob.register_plugin("xep_0198")
        await bob.login()
        assert bob["xep_0198"].sm_id
        for restart in (False, True):
            await bob.cut()
            resumed = asyncio.ensure_future(bob.wait_until("session_resumed", 30))
            for number in range(3):
                alice.send_message("bob@localhost", f"{number} {restart}", mtype="chat")
            await alice.ping()
            if restart:
                server.stop()
                server.start()
            bob.connect(("127.0.0.1", server.port), force_starttls=True)
            await resumed
            for number in range(3):
                await bob.body(f"{number} {restart}")
            await bob.ping()
            assert not bob.arrived["message"]
        await bob.leave()
    run(story)
