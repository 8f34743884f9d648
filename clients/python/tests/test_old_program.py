"""An old program, unchanged but for the patch."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from conftest import ENV, SERVER

HERE = pathlib.Path(__file__).parent
UNCHANGED = "client = OpenAI()\n"
PATCHED = "from understudy_client import patch\nclient = patch(OpenAI())\n"


def test_event_handlers_functions_and_file_search_work_with_nothing_but_the_patch() -> None:
    program = (HERE / "old_program.py").read_text()
    assert program.count(UNCHANGED) == 1
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program.replace(UNCHANGED, PATCHED)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE.parent / "src"), "UNDERSTUDY_BASE_URL": SERVER, **ENV},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[:3] == ["calls get_weather Paris", "It is sunny.", "weather completed"], lines
    assert lines[3:-1] and set(lines[3:-1]) == {"cites ferry.txt"}, lines
    assert lines[-1] == "search completed"
