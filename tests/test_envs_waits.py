"""No wait hangs: shutdown in mid-step, Ctrl-C, forks, the interpreter's end."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from test_envs_pool import noops

from actormimic.envs import AtariVectorEnv


def run_python(code: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent("import numpy as np\nfrom actormimic.envs import AtariVectorEnv\n")
    return subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.parametrize("finish", ["close", "collect"])
def test_shutdown_in_mid_step(finish: str) -> None:
    for batch_size in (0, 2):
        env = AtariVectorEnv("pong", 6, batch_size=batch_size)
        env.reset()
        env.send(noops(env))
        alive = weakref.ref(env.ale)
        if finish == "close":
            env.close()
        del env
        gc.collect()
        assert alive() is None


def busy_pool() -> AtariVectorEnv:
    """With steps under way that take a second and more."""
    env = AtariVectorEnv("pong", 12, num_threads=1, frameskip=1000, noop_max=0, emulation="stock")
    env.reset(seed=0)
    return env


def wait_until_asleep(thread: int, over: threading.Event) -> bool:
    """Wait until a thread of this process waits for something; False where it is over before."""
    deadline = time.monotonic() + 60
    seen = 0
    # Whoever waited for the interpreter's lock alone had it during the sleep.
    while seen < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        if over.is_set():
            return False
        stat = Path(f"/proc/self/task/{thread}/stat").read_text()
        seen = seen + 1 if stat.rpartition(")")[2].split()[0] == "S" else 0
    return True


def assert_control_c_ends(call: Callable[[], object]) -> None:
    """Press Ctrl-C once this thread waits in ``call``, and not before or after."""
    begun, by_itself, over = (threading.Event() for _ in range(3))
    waiting = threading.get_native_id()

    def press() -> None:
        begun.wait()
        if wait_until_asleep(waiting, over):
            os.kill(os.getpid(), signal.SIGINT)

    def wait() -> None:
        begun.set()
        call()
        by_itself.set()
        over.set()
        presser.join()  # one that was pressed too late is heard here, and not by pytest

    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            wait()
    finally:
        over.set()
        presser.join()
    assert not by_itself.is_set()


def test_close_wakes_another_threads_recv() -> None:
    env = busy_pool()
    env.send(noops(env))
    problems: list[BaseException] = []
    begun, over = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        try:
            env.recv()
        except RuntimeError as problem:
            problems.append(problem)
        over.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(60)
    assert thread.native_id is not None
    assert wait_until_asleep(thread.native_id, over)
    env.close()
    thread.join(20)
    assert not thread.is_alive()
    assert [str(p) for p in problems] == ["the pool is closed"]


def test_control_c_ends_a_wait() -> None:
    env = busy_pool()
    env.send(noops(env))
    assert_control_c_ends(env.recv)
    # It ended while the steps went on, which are still to be had.
    with pytest.raises(RuntimeError, match="steps under way"):
        env.use_batches([])
    env.recv()
    env.close()


@pytest.mark.parametrize("call", ["reset", "clone_state", "restore_state"])
def test_control_c_ends_a_wait_for_steps_under_way(call: str) -> None:
    env = busy_pool()
    arguments = [env.clone_state()] if call == "restore_state" else []
    env.send(noops(env))
    assert_control_c_ends(lambda: getattr(env, call)(*arguments))
    # It ended before the steps did, and those go on.
    with pytest.raises(RuntimeError, match="steps under way"):
        env.use_batches([])
    env.close()


def test_control_c_ends_a_wait_for_the_end() -> None:
    env = AtariVectorEnv("pong", 1, noop_min=20000, noop_max=20000)
    assert_control_c_ends(env.reset)
    assert_control_c_ends(env.ale.close)
    env.close()


def test_two_threads_may_close() -> None:
    env = AtariVectorEnv("pong", 4, frameskip=100)
    env.reset()
    env.send(noops(env))
    threads = [threading.Thread(target=env.ale.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    env.close()


def test_a_fork_is_refused_and_does_not_hang() -> None:
    result = run_python(
        """
        import os, gc
        env = AtariVectorEnv("pong", 4)
        env.reset()
        env.send(np.zeros(4, dtype=int))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                env.recv()
            except RuntimeError as problem:
                code = 0 if "did not survive the fork" in str(problem) else 2
            env.close()
            del env
            gc.collect()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        env.recv()
        env.close()
        raise SystemExit(os.waitstatus_to_exitcode(status))
        """
    )
    assert result.returncode == 0, result.stderr


def test_exit_of_the_interpreter_in_mid_step() -> None:
    result = run_python(
        """
        env = AtariVectorEnv("pong", 8)
        env.reset()
        env.send(np.zeros(8, dtype=int))
        """
    )
    assert result.returncode == 0, result.stderr
