# SPDX-License-Identifier: MIT
"""bench/soak itself, short and small, with this build."""
import json
import subprocess
import sys

from jabiru import BUILD, ROOT, SANITIZER

SECONDS = 18


def test_a_short_run_finds_nothing(tmp_path):
    results = tmp_path / "soak.json"
    done = subprocess.run([sys.executable, ROOT / "bench/soak", "--build", BUILD, "--minutes", str(SECONDS / 60), "--sessions", "80",
                           "--every", "3", "--rate", "300", "--away", "2", "--results", results], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=240)
    assert not SANITIZER.search(done.stderr), done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(results.read_text())
    assert all(check["good"] for check in found["checks"]) and len(found["checks"]) == 6
    assert len(found["samples"]) >= 5 and found["growth"] is None  # too short to judge
    assert found["report"]["received"] > 1000
    assert "| minute | memory, MiB |" in done.stdout
