"""The process as strangers' code leaves it: everything is put back, and what had been changed is named."""

from __future__ import annotations

import builtins
import decimal
import gc
import io
import locale
import logging
import multiprocessing
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sklearn
import threadpoolctl
import torch
from torch.nn.modules.module import register_module_forward_hook

from fairbench.system import library_settings
from fairbench.system.isolation import process_state_kept
from fairbench.system.output import LIMIT


def more_blas_threads():
    (threads, *_) = [
        library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"
    ]
    threadpoolctl.threadpool_limits(threads + 1, user_api="blas")


CHANGES = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "torch's hooks of all modules": lambda: register_module_forward_hook(lambda module, inputs, output: output * 0),
    "cuDNN's deterministic mode": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "the number of threads of BLAS or OpenMP": lambda: more_blas_threads(),
    "torch's grad mode": lambda: torch.set_grad_enabled(False),
    "torch's anomaly detection": lambda: torch.set_anomaly_enabled(True),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "torch's matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "numpy's error state": lambda: np.seterr(all="raise"),
    "numpy's error function": lambda: np.seterrcall(print),
    "numpy's bit generator": lambda: np.random.set_bit_generator(np.random.PCG64(1)),
    "numpy's print options": lambda: np.set_printoptions(precision=1),
    "pandas' options": lambda: pd.set_option("display.precision", 1),
    "scikit-learn's configuration": lambda: sklearn.set_config(transform_output="pandas"),
    "the working directory": lambda: os.chdir("/"),
    "the environment": os.environ.clear,
    "os.environ": lambda: setattr(os, "environ", {}),
    "the warnings filters": lambda: warnings.simplefilter("ignore"),
    "warnings.showwarning": lambda: setattr(warnings, "showwarning", print),
    "the locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8" if now() == "C" else "C"),
    "the umask": lambda: os.umask(0o177),
    "a resource limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (99, hard(resource.RLIMIT_NOFILE))),
    "the recursion limit": lambda: sys.setrecursionlimit(777),
    "the switch interval": lambda: sys.setswitchinterval(1),
    "sys.path": lambda: sys.path.insert(0, "/nowhere"),
    "sys.argv": lambda: sys.argv.append("more"),
    "sys.excepthook": lambda: setattr(sys, "excepthook", print),
    "threading.excepthook": lambda: setattr(threading, "excepthook", print),
    "the profile function": lambda: sys.setprofile(lambda *what: None),
    "a built-in function": lambda: setattr(builtins, "print", None),
    "the garbage collector": gc.disable,
    "the garbage collector's thresholds": lambda: gc.set_threshold(9, 9, 9),
    "the decimal context": lambda: setattr(decimal.getcontext(), "prec", 3),
    "the root logger": lambda: logging.disable(logging.CRITICAL),
    "the start method of multiprocessing": lambda: multiprocessing.set_start_method("spawn", force=True),
    "a signal handler": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "whether torch uses cuDNN": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "whether torch uses MKL-DNN": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "how torch shares tensors": lambda: torch.multiprocessing.set_sharing_strategy("file_system"),
    "the default timeout of sockets": lambda: socket.setdefaulttimeout(3),
    "the checks of https": lambda: setattr(
        ssl, "_create_default_https_context", vars(ssl)["_create_unverified_context"]
    ),
    "tempfile's folder": lambda: setattr(tempfile, "tempdir", "/"),
    "the stack size of threads": lambda: threading.stack_size(2**20),
    "the longest whole number as text": lambda: sys.set_int_max_str_digits(999),
    "sys.tracebacklimit": lambda: setattr(sys, "tracebacklimit", 0),
    "warnings.formatwarning": lambda: setattr(warnings, "formatwarning", print),
    "the signal mask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}),
    "a pending alarm": lambda: signal.alarm(100),
}


def now():
    return locale.setlocale(locale.LC_ALL)


def hard(limit):
    return resource.getrlimit(limit)[1]


@pytest.mark.parametrize("name", CHANGES)
def test_what_the_block_changed_is_put_back_and_named(name):
    with process_state_kept() as changed:
        CHANGES[name]()
    assert changed == [name]
    with process_state_kept() as changed:
        pass
    assert changed == []
    with process_state_kept() as changed:  # what was put back can be changed, and seen, again
        CHANGES[name]()
    assert changed == [name]


def test_threads_are_put_back_where_a_folder_on_the_way_is_called_torch():
    library = SimpleNamespace(filepath="/opt/torch/venv/numpy.libs/libopenblas.so", num_threads=3)
    (setting,) = library_settings._threadpoolctl(
        SimpleNamespace(ThreadpoolController=lambda: SimpleNamespace(lib_controllers=[library]))
    )
    assert setting.read() == [3]


def test_everything_at_once_and_a_raise_too_are_put_back():
    def change_all():
        for change in CHANGES.values():
            change()
        raise KeyError

    with pytest.raises(KeyError), process_state_kept() as changed:
        change_all()
    assert set(changed) == set(CHANGES)
    with process_state_kept() as changed:
        pass
    assert changed == []


def test_what_compiled_libraries_keep_among_the_builtins_is_left_alone(monkeypatch):
    monkeypatch.setattr(builtins, "__pybind11_old", 1, raising=False)
    monkeypatch.setattr(builtins, "__pybind11_new", 1, raising=False)
    del builtins.__pybind11_new
    with process_state_kept() as changed:
        builtins.__pybind11_old = builtins.__pybind11_new = builtins.more = 2
    assert changed == ["a built-in function"]
    assert (builtins.__pybind11_old, builtins.__pybind11_new, hasattr(builtins, "more")) == (2, 2, False)
    with process_state_kept() as changed:
        builtins.__pybind11_old = 3
    assert changed == []


def test_a_working_directory_that_is_gone_is_no_reason_to_fail(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    with process_state_kept():
        gone.rmdir()
    with process_state_kept() as changed:
        os.chdir(tmp_path)
    assert changed == []  # there is nothing to go back to


def test_a_filter_put_back_with_its_patterns_compiled_is_the_same_filter():
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.filters[:] = [("default", "words", DeprecationWarning, "__main__", 0)]
        with process_state_kept() as changed:  # as scikit-learn does where it starts threads
            warnings.filters[:] = [("default", re.compile("words"), DeprecationWarning, re.compile("__main__"), 0)]
        assert changed == []
        with process_state_kept() as changed:
            warnings.filters[:] = [("default", re.compile("other"), DeprecationWarning, re.compile("__main__"), 0)]
        assert changed == ["the warnings filters"]


@pytest.mark.long
def test_an_imported_library_keeps_its_own_filters_and_variables():
    code = """
from fairbench.system import library_settings
from fairbench.system.isolation import process_state_kept
import os, warnings
with process_state_kept() as changed:
    import sklearn, torch
print(changed, "KMP_INIT_AT_FORK" in os.environ)
with process_state_kept() as changed:
    import decimal, email.mime.text, wave
    os.environ["MINE"] = "1"
print(changed, "MINE" in os.environ)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n['the environment'] False\n"


def test_a_library_that_is_imported_in_the_block_ends_with_its_defaults():
    code = """
from fairbench.system import library_settings
from fairbench.system.isolation import process_state_kept
with process_state_kept() as changed:
    import torch
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(3)
    torch.set_autocast_enabled("cpu", True)
    torch.nn.modules.module.register_module_forward_hook(lambda *given: 0)
with process_state_kept() as later:
    pass
print(torch.is_autocast_enabled("cpu"), torch.nn.Identity()(1), later)
print(sorted(changed), torch.get_default_dtype(), torch.get_num_threads())
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == [
        "False 1 []",
        """["torch's autocast", "torch's default dtype", "torch's hooks of all modules", "torch's number of threads"]"""
        " torch.float32 1",
    ]


# -------------------------------------------------------------------- output


def test_prints_of_every_kind_go_to_stderr(capfd):
    print("before", flush=True)
    with process_state_kept():
        print("by print")
        sys.stdout.buffer.write(b"by bytes\n")
        os.write(1, b"by descriptor\n")
        subprocess.run(["echo", "by a child"], check=True)
    print("after", flush=True)
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert all(f"by {what}\n" in err for what in ("print", "bytes", "descriptor", "a child"))


def test_what_c_code_and_the_stream_itself_print_goes_to_stderr():
    code = """
import ctypes, sys
from fairbench.system import library_settings
from fairbench.system.isolation import process_state_kept
with process_state_kept():
    ctypes.CDLL(None).printf(b"native\\n")
    sys.__stdout__.write("by its other name\\n")
print("result")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "result\n"
    assert sorted(done.stderr.splitlines()) == ["by its other name", "native"]


WRITES = {
    "print": lambda: print("x" * 99),
    "descriptor": lambda: os.write(1, b"x" * 99),
    "stderr": lambda: print("x" * 99, file=sys.stderr),
}


@pytest.mark.parametrize("how", WRITES)
def test_what_is_shown_is_limited_and_says_so(capfd, how):
    with process_state_kept():
        for _ in range(1000):
            WRITES[how]()
    out, err = capfd.readouterr()
    assert out == ""
    assert LIMIT <= err.count("x") + err.count("\n") <= LIMIT + 200
    assert err.endswith("[fairbench: more than 64 KiB were printed; the rest is left out]\n")
    with process_state_kept():
        print("room again")
    assert capfd.readouterr().err == "room again\n"


def test_streams_and_descriptors_survive_what_is_done_to_them(capfd):
    streams = sys.stdout, sys.stderr
    other = io.StringIO()
    with process_state_kept():
        print("odd \udc80")
        sys.stdout.close()
        print("still here")
        os.close(1)
        os.close(2)
        sys.stdout = sys.stderr = other
    assert (sys.stdout, sys.stderr) == streams
    os.write(1, b"out\n")
    os.write(2, b"err\n")
    out, err = capfd.readouterr()
    assert out == "out\n"
    assert err == "odd \\udc80\nstill here\nerr\n"


def test_standard_output_survives_code_that_closes_the_standard_descriptors_again_and_again(tmp_path):
    """In a process of its own: the test's own descriptors must not be closed."""
    code = "import os\nfrom fairbench.system.isolation import process_state_kept\nfor _ in range(3):\n"
    code += "    with process_state_kept():\n        os.closerange(0, 3)\nprint('out')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "")


# -------------------------------------------------------------------- threads


def test_in_another_thread_everything_but_signals_is_kept():
    seen = []

    def work():
        with process_state_kept() as changed:
            np.set_printoptions(precision=1)
        seen.extend(changed)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["numpy's print options"]
