"""A SLURM of two nodes on this machine: `python tests/cluster/slurm.py start FOLDER`, `stop FOLDER`, or `install`.

For tests, and to try the files of cluster/. Needs Debian's packages slurm-wlm and munge; any user may start it. All it
writes is in FOLDER, which must be new, in a path of at most 60 signs that every user may search (munge insists).
`export SLURM_CONF=FOLDER/slurm.conf`, which `start` prints, points sbatch, srun and squeue to it.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from string import Template

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
NODES = ("node1", "node2")
ANSWERS = 30  # seconds within which all of it must


def missing() -> str:
    """The programs that are not installed, in words; empty where all are there."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=_path())]
    return f"SLURM is not installed: no {', '.join(absent)}" if absent else ""


def install() -> None:
    """Debian's packages, where this user may install them and they are not there; a line says what was not done."""
    if not missing():
        return
    if os.geteuid() or not shutil.which("apt-get"):
        print(f"{missing()}; as root, on Debian, `apt-get install slurm-wlm munge`: its tests are skipped")
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", "slurm-wlm", "munge"]):
        if subprocess.run(["apt-get", "-qq", *words], env=environment, stdout=subprocess.DEVNULL).returncode:
            print(f"apt-get {words[0]} failed: the tests of SLURM are skipped")
            return


def start(folder: Path) -> Path:
    """Start all of it in `folder` and return the path of slurm.conf, once both nodes are idle."""
    for name in ("state", *NODES):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    conf = folder / "slurm.conf"
    controller, *nodes = _free_ports(1 + len(NODES))
    conf.write_text(
        Template(Path(__file__).with_name("slurm.conf").read_text()).substitute(
            folder=folder,
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            controller_port=controller,
            port1=nodes[0],
            port2=nodes[1],
        )
    )
    files = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    options = [f"--{name}-file={path}" for name, path in files.items() if name != "socket"]
    _run(conf, "munged", "--force", f"--key-file={key}", f"--socket={files['socket']}", *options)
    try:
        _run(conf, "slurmctld", "-c")
        for name in NODES:
            _run(conf, "slurmd", "-N", name)
        _wait_for_nodes(conf)
    except BaseException:
        stop(folder)
        raise
    return conf


def stop(folder: Path) -> None:
    """Cancel all jobs and end the programs that `start` started."""
    conf = folder / "slurm.conf"
    with suppress(subprocess.SubprocessError):
        _run(conf, "scancel", "--user", getpass.getuser())
    started = [folder / f"{name}.pid" for name in (*NODES, "slurmctld", "munge")]
    for path in started:
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int(path.read_text())
            os.kill(pid, signal.SIGTERM)
            for _ in range(50):
                os.kill(pid, 0)
                time.sleep(0.1)
            os.kill(pid, signal.SIGKILL)


def lose(conf: Path, node: str) -> None:
    """What happens when a node loses its power: all its processes are gone. `regain` starts it again.

    The controller would notice by itself, after SlurmdTimeout; it is told, to save that time.
    """
    jobs = _run(conf, "squeue", "--noheader", f"--nodelist={node}", "--format=%A").split()
    steps = tuple(f"slurmstepd: [{job}.".encode() for job in jobs)
    gone = [int((conf.parent / f"{node}.pid").read_text())]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            environment = (process / "environ").read_bytes().split(b"\0")
            if f"SLURM_CONF={conf}".encode() in environment and (
                f"SLURMD_NODENAME={node}".encode() in environment
                or (process / "cmdline").read_bytes().startswith(steps)
            ):
                gone.append(int(process.name))
    for number in (signal.SIGSTOP, signal.SIGKILL):  # none is left to report the end of another
        for pid in gone:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    _run(conf, "scontrol", "update", f"nodename={node}", "state=down", "reason=no power")


def regain(conf: Path, node: str) -> None:
    _run(conf, "slurmd", "-N", node)
    _wait_for_nodes(conf)


def _wait_for_nodes(conf: Path) -> None:
    until = time.monotonic() + ANSWERS
    while time.monotonic() < until:
        with suppress(subprocess.SubprocessError):
            states = _run(conf, "sinfo", "--noheader", "--Node", "--format=%T").split()
            if states == ["idle"] * len(NODES):
                return
        time.sleep(0.2)
    logs = "\n".join(path.read_text()[-2000:] for path in conf.parent.glob("*.log"))
    raise RuntimeError(f"SLURM has no two idle nodes after {ANSWERS} s:\n{logs}")


def _run(conf: Path, *command: str) -> str:
    environment = os.environ | {"SLURM_CONF": str(conf), "PATH": _path()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ANSWERS)
    if done.returncode:
        raise subprocess.SubprocessError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def _path() -> str:
    return f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["install"]:
            install()
        case ["start", folder]:
            print(f"export SLURM_CONF={start(Path(folder).absolute())}")
        case ["stop", folder]:
            stop(Path(folder).absolute())
        case _:
            sys.exit(__doc__)
