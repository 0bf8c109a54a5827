# SPDX-License-Identifier: MIT
"""The orderly stop: every client is told system-shutdown, the exit code is 0."""
import xml.etree.ElementTree as ET

import pytest

from raw import STREAM_ERRORS, STREAMS, Ended, Raw


def told_of_the_stop(client):
    error = client.until(lambda e: e.tag == STREAMS + "error")[-1]
    assert error.find(STREAM_ERRORS + "system-shutdown") is not None, ET.tostring(error)
    with pytest.raises(Ended):
        client.until(lambda e: False)
    assert client.stream_ended
    client.socket.close()


@pytest.mark.parametrize("how", ["signal", "command"])
def test_clients_are_told(make_server, ca, how):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")
    bound = [Raw(server, ca).login(user, f"r{number}") for user in ("alice", "bob") for number in range(3)]
    for client in bound:
        client.ping()
    early = Raw(server, ca)
    early.open_stream()
    if how == "signal":
        server.process.terminate()
    else:
        server.ctl("stop")
    for client in [*bound, early]:
        told_of_the_stop(client)
    assert server.ended_by_itself() == 0


def test_a_session_that_says_nothing_does_not_hold_up_the_stop(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost")
    silent = Raw(server, ca).login("alice", "desk")
    server.stop()
    silent.socket.close()
