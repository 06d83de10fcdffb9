"""What programs are made of still works within the confinement that a run in a pod has."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

from .harness import PYTHON, Workshop

PROCESSES = """
import asyncio, concurrent.futures, ctypes, mmap, multiprocessing, os, subprocess, sys, tempfile, threading
from multiprocessing import shared_memory

def square(n): return n * n

async def run():
    process = await asyncio.create_subprocess_exec('echo', 'hello', stdout=subprocess.PIPE)
    return (await process.communicate())[0]

if __name__ == '__main__':
    for method in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(square, range(4)) == [0, 1, 4, 9]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(square, range(4))) == [0, 1, 4, 9]
    assert subprocess.run(['sh', '-c', 'echo hello | cat'], capture_output=True).stdout == b'hello\\n'
    os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)
    assert asyncio.run(run()) == b'hello\\n'
    block = shared_memory.SharedMemory(create=True, size=1 << 20)
    block.buf[:3] = b'abc'
    block.close(); block.unlink()
    with tempfile.NamedTemporaryFile() as file:
        file.write(b'x'); file.flush(); os.rename(file.name, 'out/kept.npy'); open(file.name, 'w').close()
    mmap.mmap(-1, 1 << 20).write(b'x')
    thread = threading.Thread(target=square, args=(2,), name='named')
    thread.start(); thread.join()
    print('all of it works')
"""
TENSORFLOW = """
import numpy as np
import tensorflow as tf
numbers = tf.data.Dataset.range(256).map(lambda n: tf.cast(n, tf.float32) ** 0.5, num_parallel_calls=4)
data = numbers.batch(32).prefetch(2)
model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation='relu'), tf.keras.layers.Dense(1)])
model.compile('adam', 'mse')
model.fit(data.map(lambda x: (x[:, None], x[:, None])), epochs=1, verbose=0)
np.save('out/.kept.npy', model.predict(data.map(lambda x: x[:, None]), verbose=0))
print('all of it works')
"""
NUMBERS = """
import numpy as np, concurrent.futures
a = np.random.default_rng(0).random((400, 400))
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    assert len(list(pool.map(np.linalg.norm, [a @ a] * 4))) == 4
print('all of it works')
"""


@pytest.fixture(params=["as it is", "without Landlock"])
def pod(request: pytest.FixtureRequest, shop: Workshop) -> Workshop:
    """As our own uid, since others may not read this Python's packages."""
    shop.uid = os.geteuid()
    (shop.folder / "out").mkdir()
    if request.param == "without Landlock":
        shop.within = [str(request.getfixturevalue("without_landlock"))]
    return shop


def _works(shop: Workshop, python: str, code: str) -> None:
    shop.recorder(budget_s=200)
    (shop.folder / "program.py").write_text(code)
    folders = [str(shop.folder / "out"), "/tmp", "/dev/shm"]
    options = [word for folder in folders for word in ("--writable", folder)]
    run = shop.start(python, "program.py", options=tuple(options))
    assert run.wait() == 0, run.stdout.decode()
    assert run.stdout.decode().endswith("all of it works\n")


def test_processes_threads_and_shared_memory(pod: Workshop) -> None:
    _works(pod, PYTHON, PROCESSES)


def test_numpy_in_a_pool_of_processes(pod: Workshop) -> None:
    _works(pod, sys.executable, NUMBERS)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_tensorflow(shop: Workshop) -> None:
    shop.uid = os.geteuid()
    (shop.folder / "out").mkdir()
    _works(shop, sys.executable, TENSORFLOW)
