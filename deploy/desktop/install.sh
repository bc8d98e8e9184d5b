#!/bin/sh
# Installs the station on a PC with an NVIDIA GPU (Debian, Ubuntu; x86-64): environment, TensorRT, service.
# May be run again. Downloads happen here, never when the station runs. deploy/desktop/README.md has every step.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=deploy/install-common.sh
. "$here/../install-common.sh"

CUDA_13_DRIVER=580 # the first driver for CUDA 13; TensorRT has other packages for CUDA 12

read_options "$@"
[ ! -e "$root/etc/nv_tegra_release" ] || refuse "this is a Jetson" "deploy/jetson/install.sh"
[ "$(uname -m)" = x86_64 ] || refuse "this is $(uname -m), and neither a PC nor a Jetson"
need_debian_and_root
[ -r "$root/proc/driver/nvidia/version" ] || refuse "no NVIDIA driver is loaded" \
    "Ubuntu: sudo ubuntu-drivers install; Debian: sudo apt install nvidia-driver; then restart the computer"
driver=$(sed -n 's/.*Kernel Module[^0-9]*\(x86_64\)\{0,1\} *\([0-9][0-9]*\)\.[0-9].*/\2/p' \
    "$root/proc/driver/nvidia/version" | head -n 1)
[ -n "$driver" ] || refuse "the version of the driver in /proc/driver/nvidia/version is not understood"
echo "NVIDIA driver $driver"

step "list of packages" apt-get update
step "compiler and Python" apt-get install --yes --no-install-recommends g++ libc6-dev make python3-dev python3-venv
if [ ! -x /usr/local/cuda/bin/nvcc ] && ! command -v nvcc >/dev/null 2>&1; then
    step "CUDA toolkit, to build pycuda" apt-get install --yes nvidia-cuda-toolkit
fi
make_user
copy_source
if [ "$driver" -ge "$CUDA_13_DRIVER" ]; then
    make_environment "" --extra-index-url https://pypi.nvidia.com "$prefix/source[gpu]"
else
    make_environment "" --extra-index-url https://pypi.nvidia.com "$prefix/source" 'pycuda>=2024.1' 'tensorrt-cu12>=10.3,<12'
fi
install_service "$here/gpu.conf"
say_how_to_go_on
