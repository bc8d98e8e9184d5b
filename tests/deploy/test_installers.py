"""The installers of deploy/: what they would do on which computer, what they refuse, how they fail, and what they copy.

Nothing is installed: everything else about them needs root and a network.
"""

from __future__ import annotations

import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

from station.configuration.file import read_toml
from tests.bench.places import ROOT
from tests.bench.programs import needs_program

pytestmark = pytest.mark.system

DEPLOY = ROOT / "deploy"
DRIVER_470 = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024\n"
DRIVER_550 = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
DRIVER_580 = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (builder@host)\n"
JETSON = "# R{} (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
on_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="a PC is x86_64")


def computer(root: Path, *, driver: str = "", jetson: str = "", debian: bool = True) -> Path:
    """The files by which an installer knows a computer."""
    files = {"proc/driver/nvidia/version": driver, "etc/nv_tegra_release": jetson}
    files["etc/debian_version"] = "12.5\n" if debian else ""
    for name, text in files.items():
        if text:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def plan(kind: str, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`install.sh --check` for the computer under `root`."""
    command = ["sh", str(DEPLOY / kind / "install.sh"), "--check", "--root", str(root), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("script", sorted(DEPLOY.rglob("*.sh")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_syntax(script: Path) -> None:
    assert subprocess.run(["sh", "-n", str(script)], timeout=60).returncode == 0
    if script.name == "install.sh":
        assert script.read_text().startswith("#!/bin/sh\n")
        assert "\nset -eu\n" in script.read_text()
        assert os.access(script, os.X_OK)


def commands(done: subprocess.CompletedProcess[str], words: str) -> list[str]:
    """The commands of the plan that hold these words."""
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("    ") and words in line]


def common(script: str, *, prefix: Path) -> subprocess.CompletedProcess[str]:
    """Really runs a piece of what both installers share, with another place in place of /opt/station."""
    lines = f"set -eu; here={DEPLOY}/desktop; . {DEPLOY}/install-common.sh; prefix={prefix}; {script}"
    return subprocess.run(["sh", "-c", lines, "install.sh"], capture_output=True, text=True, timeout=60)


@on_x86_64
@pytest.mark.parametrize(
    ("driver", "of_cuda", "others"), [(DRIVER_580, "13", "cuda12"), (DRIVER_550, "12", "cuda13")], ids=["580", "550"]
)
def test_a_pc_gets_tensorrt_for_its_driver(tmp_path: Path, driver: str, of_cuda: str, others: str) -> None:
    done = plan("desktop", computer(tmp_path, driver=driver))
    (tensorrt,) = commands(done, "tensorrt")
    assert f"tensorrt-cu{of_cuda}>=10.3,<12" in tensorrt
    assert "pip --isolated install --index-url https://pypi.nvidia.com --only-binary" in tensorrt
    assert "extra-index" not in done.stdout, "of two indexes the one with the higher version wins, whoever that is"
    assert commands(done, f"/hashes/cuda{of_cuda}.txt")
    assert others not in done.stdout
    installs = commands(done, "install --")
    assert installs[-1] == tensorrt, "the one step that needs another index comes last"
    assert all("pypi.nvidia.com" not in install for install in installs[:-1])
    pip = [install for install in commands(done, "-m pip") if install != tensorrt]
    assert len(pip) == 5
    assert all("--require-hashes" in install or "--no-index" in install for install in pip)
    assert "Nothing was done" in done.stdout


@on_x86_64
def test_what_teaching_needs_comes_on_request(tmp_path: Path) -> None:
    root = computer(tmp_path, driver=DRIVER_580)
    assert not commands(plan("desktop", root), "station-train")
    assert commands(plan("desktop", root, "--teach"), "/hashes/station-train.txt")


@pytest.mark.parametrize(("release", "jetpack"), [("36", "6"), ("38", "7"), ("39", "7")])
def test_a_jetson_takes_tensorrt_from_apt(tmp_path: Path, release: str, jetpack: str) -> None:
    done = plan("jetson", computer(tmp_path, jetson=JETSON.format(release)))
    assert done.returncode == 0, done.stderr
    assert f"JetPack {jetpack}" in done.stdout
    (apt,) = commands(done, "apt-get install")
    assert "nvidia-jetpack python3-libnvinfer" in apt
    assert commands(done, "-m venv --clear --system-site-packages")
    installs = commands(done, "-m pip install")
    assert "pycuda" in installs[-1]
    assert "tensorrt" not in "".join(installs)


@pytest.mark.parametrize(
    ("kind", "what", "words"),
    [
        ("jetson", {"driver": DRIVER_580}, "this is no Jetson"),
        ("jetson", {"jetson": JETSON.format(35)}, "Jetson Linux 35: 36 (JetPack 6), 38 and 39 (JetPack 7)"),
        ("jetson", {"jetson": "garbage\n"}, "Jetson Linux unknown"),
        ("jetson", {"jetson": JETSON.format(36), "debian": False}, "no Debian or Ubuntu"),
        ("desktop", {"jetson": JETSON.format(36)}, "this is a Jetson"),
        pytest.param("desktop", {}, "no NVIDIA driver is loaded", marks=on_x86_64),
        pytest.param("desktop", {"driver": DRIVER_470}, "470 is too old: TensorRT needs 525", marks=on_x86_64),
        pytest.param("desktop", {"driver": "garbage\n"}, "is not understood", marks=on_x86_64),
        pytest.param("desktop", {"driver": DRIVER_580, "debian": False}, "no Debian or Ubuntu", marks=on_x86_64),
    ],
)
def test_refusals(tmp_path: Path, kind: str, what: dict[str, object], words: str) -> None:
    done = plan(kind, computer(tmp_path, **what))  # type: ignore[arg-type]
    assert done.returncode == 2
    assert words in done.stderr
    assert "-->" not in done.stdout


@pytest.mark.parametrize("arguments", [["--root", "/"], ["--check", "--root"], ["--chekc"]])
def test_wrong_options_do_nothing(arguments: list[str]) -> None:
    for kind in ("desktop", "jetson"):
        command = ["sh", str(DEPLOY / kind / "install.sh"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert "-->" not in done.stdout


def test_an_environment_is_kept_when_it_is_whole_and_of_the_right_kind(tmp_path: Path) -> None:
    """On a Jetson it sees the packages of the system; half made it has no pip."""
    root = computer(tmp_path, jetson=JETSON.format(36))
    made = root / "opt/station/.venv"
    assert commands(plan("jetson", root), "-m venv --clear")
    venv.create(made, system_site_packages=True)
    (made / "bin/python").unlink()
    assert commands(plan("jetson", root), "-m venv --clear"), "its Python is gone"
    venv.create(made, system_site_packages=True, with_pip=True, clear=True)
    assert not commands(plan("jetson", root), "-m venv --clear")
    venv.create(made, system_site_packages=False)
    assert commands(plan("jetson", root), "-m venv --clear"), "it is of the other kind"


@pytest.mark.parametrize("script", sorted(DEPLOY.rglob("*install*.sh")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_python_looks_for_nothing_in_the_folder_of_the_caller(script: Path) -> None:
    runs = re.findall(r"(?:/usr/bin/python3|\$python\"?) (-[-\w]+)", script.read_text() + "\n")
    assert set(runs) <= {"-I", "--version"}, "root runs what lies there: a pip.py, a json.py"


def test_steps_run_from_the_root_folder(tmp_path: Path) -> None:
    (tmp_path / "timeit.py").write_text("print('taken from the folder of the caller')")
    script = f"cd {tmp_path}; read_options; python=python3; step where pwd; step asks python3 -m timeit -n1 -r1"
    done = common(script, prefix=tmp_path)
    assert "\n/\n" in done.stdout
    assert "caller" not in done.stdout
    relative = common(
        f"cd {tmp_path}; mkdir wheels; PIP_FIND_LINKS=wheels; read_options; echo $PIP_FIND_LINKS", prefix=tmp_path
    )
    assert relative.stdout == f"{tmp_path}/wheels\n"


def test_every_package_has_its_version_of_the_constraints_and_checksums() -> None:
    constrained = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [re.split("[; ]", line)[0].lower().replace("_", "-") for line in constrained if "==" in line]
    names = {pin.split("==")[0] for pin in pins}
    versions = {name: {pin for pin in pins if pin.startswith(f"{name}==")} for name in names}
    project = read_toml(ROOT / "pyproject.toml")[1]["project"]
    for name, needed in (
        ("station", project["dependencies"]),
        ("station-train", project["dependencies"] + project["optional-dependencies"]["train"]),
        ("pycuda", ["pycuda"]),
    ):
        blocks = re.findall(r"^(\S+)==(\S+).*\\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", hashes(name), re.MULTILINE)
        lines = [line for line in hashes(name).splitlines() if not line.startswith(" ")]
        assert len(blocks) == len(lines), "each has a checksum"
        listed_versions = {f"{block[0]}=={block[1]}" for block in blocks}
        wrong = {block[0] for block in blocks if block[0] in names and listed_versions.isdisjoint(versions[block[0]])}
        assert wrong == set(), "run deploy/hashes/write.sh"
        listed = {block[0] for block in blocks}
        missing = {re.split("[^a-z0-9-]", need.lower().replace("_", "-"))[0] for need in needed} - listed
        assert missing == set(), "run deploy/hashes/write.sh"


def hashes(name: str) -> str:
    return (DEPLOY / f"hashes/{name}.txt").read_text()


def test_a_configuration_is_never_replaced(tmp_path: Path) -> None:
    root = computer(tmp_path, jetson=JETSON.format(36))
    assert commands(plan("jetson", root), "station.toml")
    (root / "etc/station").mkdir()
    (root / "etc/station/station.toml").touch()
    assert not commands(plan("jetson", root), "station.toml")


def test_an_installation_where_the_plant_process_had_no_user_keeps_what_is_there(tmp_path: Path) -> None:
    """The files themselves: tests/forwarding/test_other_users.py."""
    root = computer(tmp_path, jetson=JETSON.format(36))
    folder = root / "var/lib/station/plant"
    (made,) = commands(plan("jetson", root), "install -d -m 2771 -o station-plant")
    assert made.endswith("-g station-plant /var/lib/station/plant")
    folder.mkdir(parents=True)
    (folder / "plant.db").touch()
    (folder / "plant.lock").symlink_to("/etc/passwd")
    done = plan("jetson", root)
    order = [
        "useradd --system --user-group --no-create-home --home-dir /var/lib/station/plant",
        "usermod --append --groups station station-plant",
        "usermod --append --groups station-plant station",
        "install -d -m 0750 -o station -g station /var/lib/station",
        "install -d -m 2771 -o station-plant -g station-plant /var/lib/station/plant",
        "chown -R -h station-plant:station-plant /var/lib/station/plant",
        "chmod 0664 /var/lib/station/plant/plant.db",
    ]
    places = [done.stdout.index(words) for words in order]
    assert places == sorted(places)
    assert not commands(done, "plant.lock"), "nothing behind a link is touched"
    assert not [line for line in commands(done, "/var/lib/station/plant") if " rm " in line or line.startswith("mv ")]


def test_a_step_that_fails_ends_it_and_says_what_to_do(tmp_path: Path) -> None:
    script = 'if_it_fails="the moon has to be full"; step "a thing" sh -c "echo because >&2; exit 7"; echo gone on'
    done = common(script, prefix=tmp_path)
    assert done.returncode == 1
    assert "gone on" not in done.stdout
    because, failed, hint, cure = done.stderr.splitlines()
    assert because == "because"
    assert failed.endswith("failed: a thing. The lines above say why.")
    assert hint.endswith("the moon has to be full")
    assert "run this again" in cure


def test_what_is_copied_is_whole_and_replaces_the_copy_of_the_last_time(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/old.py").touch()
    done = common("copy_source", prefix=tmp_path)
    assert done.returncode == 0, done.stderr
    copy = tmp_path / "source"
    assert not (copy / "old.py").exists()
    needed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert needed - {"deploy/pycuda-settings.py", "deploy/hashes"} <= {path.name for path in copy.iterdir()}
    assert (copy / "benchmarks/gpu_check.py").exists()


@needs_program("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    scripts = [str(script) for script in sorted(DEPLOY.rglob("*.sh"))]
    done = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_container_is_pinned_not_root_and_has_all_that_is_built() -> None:
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    assert [line for line in lines if re.fullmatch(r"ARG BASE=nvcr\.io/nvidia/[a-z0-9-]+:r?\d[\w.-]+", line)]
    assert [line for line in lines if line.startswith("USER")] == ["USER station"]
    copied = {name for line in lines if line.startswith("COPY") and "--from" not in line for name in line.split()[1:-1]}
    assert all((ROOT / source).exists() for source in copied)
    # everything that .dockerignore lets through, or the build would not find it
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_through
