"""Another user of this computer: something asked, or run, under his number. Root may do that; others cannot."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bench.places import ROOT

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root takes the number of another user")
ANNA, BEN, PAGES, PLANT = 61_001, 61_002, 61_003, 61_004
OF_STATION = 61_100
"""Nobody has these numbers; the last one is a group."""


def as_user(uid: int, gid: int, ask: Callable[[], Any], *, also: tuple[int, ...] = ()) -> Any:
    """What `ask` returns, as JSON, in a process of this user with this group and those of `also`; an exception as its
    text.
    """
    back, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(also)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            said = json.dumps({"reply": ask()})
        except BaseException as problem:  # noqa: BLE001  the parent reads what went wrong
            said = json.dumps({"problem": str(problem)})
        os.write(out, said.encode())
        os._exit(0)
    os.close(out)
    with os.fdopen(back, "rb") as pipe:
        found = json.loads(pipe.read())
    os.waitpid(child, 0)
    return found.get("problem", found.get("reply"))


@contextmanager
def open_folder() -> Iterator[Path]:
    """One that every user may enter, as those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="station-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def python_of_others() -> str:
    """A Python of this version that every user may run; that of a developer may lie in his own folder."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for each in (os.path.realpath(sys.executable), f"/usr/bin/{version}"):
        if as_user(BEN, BEN, lambda each=each: os.access(each, os.X_OK)):  # type: ignore[misc]
            return each
    pytest.skip(f"no {version} here that another user may run")


@contextmanager
def program_of(
    uid: int, *words: str, says: str, also: tuple[int, ...] = (OF_STATION,)
) -> Iterator[tuple[re.Match[str], list[str]]]:
    """`station WORDS` as this user, killed at the end: what it said that fits `says`, and its lines until then."""
    packages = [sysconfig.get_paths()["purelib"]]
    packages += [line for link in Path(packages[0]).glob("*.pth") for line in link.read_text().splitlines()
                 if line.startswith("/")]  # fmt: skip
    process = subprocess.Popen(
        [python_of_others(), "-m", "station", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join([str(ROOT), *packages])},
        user=uid,
        group=uid,
        extra_groups=also,
        umask=0o027,
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(says, line):
                yield found, said
                break
        else:
            pytest.fail(f"station {words[0]} did not start: {''.join(said)[-4000:]}")
    finally:
        process.kill()
        print("".join(said), process.stdout.read()[-6000:])  # noqa: T201  for whoever reads the failure
        process.wait()
        process.stdout.close()
