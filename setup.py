"""Builds the software camera `simtl.cti` at install. Everything else stands in pyproject.toml.

A GenTL producer is a plain shared library with its own file name, so the usual extension build is asked
for that name and for no Python symbols.
"""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

PRODUCER = "drivers.camera.simtl.simtl"
SOURCES = Path("drivers/camera/simtl/src")  # relative: setuptools runs in the folder of this file


class BuildProducer(build_ext):
    """Names the library of the software camera as GenTL wants it; any other extension keeps its usual name."""

    def get_ext_filename(self, ext_name: str) -> str:
        if ext_name in (PRODUCER, PRODUCER.rpartition(".")[2]):
            return ext_name.replace(".", "/") + ".cti"
        return super().get_ext_filename(ext_name)


setup(
    ext_modules=[
        Extension(
            PRODUCER,
            sources=[str(path) for path in sorted(SOURCES.glob("*.c"))],
            depends=[str(path) for pattern in ("*.h", "*.xml") for path in sorted(SOURCES.glob(pattern))],
            define_macros=[("CAMERA_XML", f'"{(SOURCES / "camera.xml").as_posix()}"')],
            libraries=["m", "dl"],
            extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-pthread"],
            extra_link_args=["-pthread"],
        )
    ],
    cmdclass={"build_ext": BuildProducer},
)
