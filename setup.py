"""The one compiled part, see ``fairbench_projection/_solver/pair.py``; where there is no compiler it is left out.

Everything else about the package is in pyproject.toml. The part keeps to Python's stable interface, so that what is
built once serves every version from 3.9 up.
"""

import os

from setuptools import Extension, setup

pair = Extension(
    "fairbench_projection._solver._pair",
    ["plugins/fairbench_projection/_solver/_pair.c"],
    define_macros=[("Py_LIMITED_API", "0x03090000")],
    libraries=[] if os.name == "nt" else ["m"],
    extra_compile_args=["-O3", "-ffp-contract=off"],  # a fused product and sum would round otherwise
    py_limited_api=True,
    optional=True,
)

setup(ext_modules=[pair], options={"bdist_wheel": {"py_limited_api": "cp39"}})
