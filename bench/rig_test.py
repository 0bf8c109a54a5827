# SPDX-License-Identifier: MIT
"""Tests of rig.py and of Peer.rest(): the servers of a run do not disturb each other, neither by failing nor by being busy still."""
import types
import unittest
from unittest import mock

import load
import rig
from peers import base
from programme import OwnWork, Work
from rows import Row
from table import UNFINISHED


class Fake(base.Peer):
    """A server that takes `busy` seconds of CPU between two looks at it, a look each, and then none."""
    name = "fake"

    def __init__(self, busy=()):
        super().__init__("/nowhere")
        self.busy, self.cpu, self.looks, self.starts, self.stops = list(busy), 0.0, 0, 0, 0

    def archive(self, on):
        pass

    def start(self, cpu):
        self.starts += 1
        self.processes = [cpu]

    def stop(self):
        self.stops += bool(self.processes)
        self.processes = []

    def cpu_seconds(self):
        self.looks += 1
        if self.looks % 2 == 0 and self.busy:
            self.cpu += self.busy.pop(0)
        return self.cpu


def work(do):
    return Work("one", do, [Row("one", "one", True)])


def bench():
    options = types.SimpleNamespace(server_cpu=0, load_cpu=1, quick=True, sessions=1000, build="/nowhere", load="/nowhere/jabiru-load")
    return rig.Bench(options, "/nowhere")


@mock.patch("peers.base.pause", lambda seconds: None)
@mock.patch("rig.say", lambda text: None)
class Rig(unittest.TestCase):
    def test_the_next_work_waits_until_a_server_has_come_to_rest(self):
        peer = Fake([0.5, 0.5, 0.2])
        one = bench()
        one.do(work(lambda bench, peer: {"one": 1}), peer)
        self.assertEqual((peer.busy, peer.stops), ([], 0))
        self.assertEqual(one.samples, {("one", "fake"): [1]})

    def test_one_that_does_not_come_to_rest_is_stopped(self):
        peer = Fake([0.5] * 1000)
        with mock.patch("peers.base.REST_SECONDS", 0):
            bench().do(work(lambda bench, peer: {"one": 1}), peer)
        self.assertEqual(peer.stops, 1)

    def test_any_failure_is_noted_and_the_run_goes_on(self):
        def fail(bench, peer):
            raise IndexError("what nobody had thought of")
        peer, one = Fake(), bench()
        one.do(work(fail), peer)
        self.assertEqual(one.failures, {("one", "fake"): ["IndexError: what nobody had thought of"]})
        self.assertEqual(peer.stops, 1)
        one.do(work(lambda bench, peer: {"one": 1}), peer)
        self.assertEqual((one.samples, peer.starts), ({("one", "fake"): [1]}, 2))

    def test_who_takes_too_long_did_not_finish_and_is_not_asked_again(self):
        def take_long(bench, peer):
            raise load.TookTooLong("too long")
        peer, one = Fake(), bench()
        self.assertFalse(one.gave_up(work(take_long), peer))
        one.do(work(take_long), peer)
        self.assertEqual(one.failures, {("one", "fake"): [UNFINISHED]})
        self.assertTrue(one.gave_up(work(take_long), peer))

    def test_what_belongs_to_no_peer_is_ours(self):
        def fail(bench):
            raise ValueError("no such table")
        one = bench()
        one.do_own(OwnWork("one", lambda bench: {"one": 1}, [Row("one", "one", True)]))
        one.do_own(OwnWork("two", fail, [Row("two", "two", True)]))
        self.assertEqual(one.samples, {("one", "jabiru"): [1]})
        self.assertEqual(one.failures, {("two", "jabiru"): ["ValueError: no such table"]})

    def test_a_work_apart_does_not_start_the_server(self):
        peer, one = Fake(), bench()
        one.do(Work("one", lambda bench, peer: {"one": 1}, [Row("one", "one", True)], apart=True), peer)
        self.assertEqual((peer.starts, one.samples), (0, {("one", "fake"): [1]}))

    def test_a_variant_that_could_not_be_prepared_is_prepared_again(self):
        made = []

        def make(name, build, scratch):
            made.append(mock.Mock(spec=base.Peer, processes=[], **{"prepare.side_effect": TimeoutError("too slow")}))
            return made[-1]
        one = bench()
        one.scratch = mock.MagicMock()
        wide = Work("wide", lambda bench, peer: {}, [Row("wide", "wide", True)], variant=rig.Variant("wide", lambda bench: []))
        with mock.patch("rig.make_peer", make):
            one.do(wide, Fake())
            one.do(wide, Fake())
        self.assertEqual(len(made), 2)
        self.assertEqual(one.failures, {("wide", "fake"): ["TimeoutError: too slow"] * 2})


if __name__ == "__main__":
    unittest.main()
