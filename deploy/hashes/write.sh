#!/bin/sh
# Writes the lists of this folder anew: exact versions with the checksum of every file of them, for all platforms. Run it after a
# change of constraints.txt or pyproject.toml, from an environment with uv (pip install uv). It is no part of an installation.
set -eu
cd "$(dirname -- "$0")/../.."

# compile NAME SOURCE [OPTIONS...]
compile() {
    name=$1
    shift
    uv pip compile --quiet --universal --python-version 3.10 --constraint constraints.txt --generate-hashes \
        --no-annotate --no-header --no-emit-index-url --no-emit-find-links "$@" --output-file "deploy/hashes/$name.txt"
}

of_cuda() {
    printf '%s\n' "nvidia-cuda-runtime$2==$1.0.*" "nvidia-cuda-profiler-api$2==$1.0.*" | compile "cuda$1" --no-deps -
}

compile station --extra hmi --extra plant --extra plant-db --extra plant-s3 pyproject.toml
compile station-train --extra hmi --extra plant --extra plant-db --extra plant-s3 --extra train pyproject.toml
printf '%s\n' 'setuptools>=70' wheel | compile build -
printf '%s\n' 'pycuda>=2024.1' | compile pycuda -
of_cuda 12 -cu12
of_cuda 13 ''
