"""Workers live as long as they should: not without their directory, but through the death of each other and of a supervisor."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from doorward.proxy.control.adoption import is_held
from doorward.proxy.local_sockets import dial
from doorward.proxy.messages import Ended, Hello, Settle
from doorward.proxy.pipe import connect
from doorward.proxy.starting import command, worker_account
from doorward.proxy.supervisor.ending import find, stop
from doorward.proxy.worker.crashed import CUT
from doorward.proxy.worker.places import Places
from doorward.recording.reader import TrailReader
from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.unit.proxy.conftest import LAUNCH, Start
from tests.unit.proxy.fakes import all_leave, arrives, control, key, new_run


def pids(places: Places) -> dict[str, int]:
    """The workers that answer, by name."""
    found = {}
    for name, path in places.workers().items():
        descriptor = find(path)
        if descriptor is not None:
            found[name] = int(Path(f"/proc/self/fdinfo/{descriptor}").read_text().partition("Pid:\t")[2].split()[0])
            os.close(descriptor)
    return found


def answers(path: Path) -> bool:
    descriptor = find(path)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def words(trails: Path) -> bytes:
    """What is recorded of the first session by now."""
    reader = TrailReader((trails / f"{key(1)}.dwr").read_bytes())
    return b"".join(record.data for record in reader.records())


def test_a_worker_that_dies_takes_its_own_sessions_only(start: Start) -> None:
    places = start(count=2)
    new_run()

    async def test() -> None:
        [(_, one), (_, two)] = places.workers().items()
        async with control(one, places.trails) as first, control(two, places.trails) as second:
            dying, living = await first.begin(1), await second.begin(2)
            await dying.say("open")
            await living.say("open")
            await dying.say("out last words")
            await arrives(lambda: b"last words" in words(places.trails))
            os.kill(first.pipe.pid, signal.SIGKILL)
            await arrives(lambda: first.pipe.closed)
            assert await dying.line() == ""
            await arrives(lambda: len(pids(places)) == 2 and not one.exists())
            assert await living.say("out still here") == "done"
            [new] = [path for path in places.workers().values() if path != two]
            async with control(new, places.trails) as third:
                [ended] = await arrives(lambda: third.of(Ended))
                assert (ended.session, ended.verdict, ended.reason, ended.recorded) == (key(1), "FAIL", CUT, True)
                await arrives(lambda: not (places.trails / f"{key(1)}.end").exists())
                assert (await third.begin(3)) is not None
        await all_leave()

    asyncio.run(test())
    assert b"last words" in words(places.trails)
    assert TrailReader((places.trails / f"{key(1)}.dwr").read_bytes()).verify().damage is None


def test_workers_of_a_server_that_is_root_are_somebody_else(tmp_path: Path) -> None:
    """Directories above belong to root alone: workers get to their own, and nowhere else."""
    state = tmp_path / "private" / "state"
    state.mkdir(parents=True)
    state.parent.chmod(0o700)
    subprocess.run(command(state, worker_account() if os.geteuid() == 0 else None), check=True)
    places, count = Places.of(state), len(os.sched_getaffinity(0))
    try:
        until(lambda: len(pids(places)) == count)
        found = pids(places)
        name, path = next(iter(places.workers().items()))
        told = [line.split() for pid in found.values() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        users = {int(words[2]) for words in told if words[0] == "Uid:"}
        assert users == {places.sockets.stat().st_uid}
        if os.geteuid() == 0:
            assert 0 not in users
            assert {int(words[1], 16) for words in told if words[0] in {"CapEff:", "CapPrm:"}} == {0}
        assert is_held(places.trails, name)

        async def test() -> None:
            end = await connect(path, places.owners())
            end.send(Settle(trails=str(places.trails.resolve()), node="n", release="1"))
            assert isinstance(await anext(aiter(end)), Hello)
            end.close("seen")

        asyncio.run(test())
        os.kill(found[name], signal.SIGKILL)
        until(lambda: name not in pids(places) and len(pids(places)) == count)
        assert not is_held(places.trails, name)
        found = pids(places)
        shutil.rmtree(state)
        until(lambda: all(is_gone(pid) for pid in found.values()))
    finally:
        stop(places)


def test_sessions_outlive_their_supervisor(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, str(LAUNCH), str(tmp_path), "1"])
    places = Places.of(tmp_path)
    until(lambda: len(pids(places)) == 1)
    new_run()

    async def test() -> None:
        [(name, path)] = places.workers().items()
        async with control(path, places.trails) as there:
            client = await there.begin(1)
            process.kill()
            process.wait()
            assert await client.say("open") == "done"
            again = await asyncio.create_subprocess_exec(sys.executable, str(LAUNCH), str(tmp_path), "1")
            await arrives(lambda: answers(places.supervisor))
            assert await client.say("out x") == "done"
            assert list(places.workers()) == [name]  # adopted: no other was started
            os.kill(there.pipe.pid, signal.SIGKILL)
            await arrives(lambda: pids(places) and name not in pids(places))
            assert await asyncio.to_thread(stop, places)
            assert await again.wait() == 0
        await all_leave()

    asyncio.run(test())
    assert pids(places) == {}
    assert list(places.trails.glob("*.reserve")) == []


def test_workers_end_without_their_supervisor_when_they_are_told(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, str(LAUNCH), str(tmp_path), "2"])
    places = Places.of(tmp_path)
    found = until(lambda: len(pids(places)) == 2 and pids(places))
    process.kill()
    process.wait()
    assert stop(places)
    assert all(is_gone(pid) for pid in found.values())
    assert stop(places)  # of nobody


def test_nobody_is_left_when_the_directory_goes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    process = subprocess.Popen([sys.executable, str(LAUNCH), str(state), "2"])
    places = Places.of(state)
    found = until(lambda: len(pids(places)) == 2 and pids(places))
    shutil.rmtree(state)
    assert process.wait(PATIENCE) == 0
    until(lambda: all(is_gone(pid) for pid in found.values()))
    assert not state.exists()


def test_workers_without_supervisor_end_when_the_directory_goes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    process = subprocess.Popen([sys.executable, str(LAUNCH), str(state), "1"])
    places = Places.of(state)
    found = until(lambda: len(pids(places)) == 1 and pids(places))
    process.kill()
    process.wait()
    shutil.rmtree(state)
    until(lambda: all(is_gone(pid) for pid in found.values()))


def test_there_is_one_supervisor(start: Start) -> None:
    places = start()
    command = [sys.executable, str(LAUNCH), str(places.sockets.parent)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "AlreadyRunning" in second.stderr
    assert len(pids(places)) == 1
    assert places.sockets.stat().st_mode & 0o777 == places.trails.stat().st_mode & 0o777 == 0o700


def test_in_the_background_as_a_child_of_nobody_here(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "doorward.proxy.supervisor", "--state", str(tmp_path), "--workers", "1"]
    places = Places.of(tmp_path)
    subprocess.run([*command, "--detach"], check=True)
    subprocess.run([*command, "--detach"], check=True)  # which finds the first
    [pid] = pids(places).values()
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1] != str(os.getpid())
    assert "workers run" in places.log.read_text()
    subprocess.run([*command, "--stop"], check=True)
    assert pids(places) == {}


def test_a_stranger_is_turned_away(start: Start) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    places = start()
    for directory in (places.sockets, *places.sockets.parents):
        directory.chmod(directory.stat().st_mode | 0o711)
    [path] = places.workers().values()
    path.chmod(0o666)
    script = (
        "import os, sys, socket\nos.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(10))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path.name], cwd=places.sockets, capture_output=True, text=True, check=True
    )
    assert done.stdout == "b''\n"
    with dial(path) as connection:
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_a_hello_says_who_it_is(worker: Places) -> None:
    async def test() -> None:
        [(name, path)] = worker.workers().items()
        async with control(path, worker.trails) as there:
            [hello] = await arrives(lambda: there.of(Hello))
            assert (hello.worker, hello.pid) == (name, there.pipe.pid)

    asyncio.run(test())
