#!/bin/sh
# Installs the station on a PC with an NVIDIA GPU (Debian, Ubuntu; x86-64): environment, service, TensorRT.
# May be run again. Downloads happen here, never when the station runs. deploy/desktop/README.md has every step.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=deploy/install-common.sh
. "$here/../install-common.sh"

OLDEST_DRIVER=525 # the first for CUDA 12
CUDA_13_DRIVER=580
MEND_DRIVER="Ubuntu: sudo ubuntu-drivers install; Debian: sudo apt install nvidia-driver; then restart the computer"

read_options "$@"
[ ! -e "$root/etc/nv_tegra_release" ] || refuse "this is a Jetson" "deploy/jetson/install.sh"
[ "$(uname -m)" = x86_64 ] || refuse "this is $(uname -m), and neither a PC nor a Jetson"
need_debian_and_root
[ -r "$root/proc/driver/nvidia/version" ] || refuse "no NVIDIA driver is loaded" "$MEND_DRIVER"
driver=$(sed -n 's/.*Kernel Module[^0-9]*\(x86_64\)\{0,1\} *\([0-9][0-9]*\)\.[0-9].*/\2/p' \
    "$root/proc/driver/nvidia/version" | head -n 1)
[ -n "$driver" ] || refuse "the version of the driver in /proc/driver/nvidia/version is not understood"
[ "$driver" -ge "$OLDEST_DRIVER" ] || refuse "NVIDIA driver $driver is too old: TensorRT needs $OLDEST_DRIVER" "$MEND_DRIVER"

if [ "$driver" -ge "$CUDA_13_DRIVER" ]; then
    cuda=13
else
    cuda=12
fi
echo "NVIDIA driver $driver: CUDA $cuda"

step "list of packages" apt-get update
install_packages "compiler and Python" g++ libc6-dev python3-dev python3-venv
make_user
copy_source
make_environment false
# Headers of the oldest CUDA of that major version: what is built with them runs with every driver for it.
build_pycuda "cuda$cuda"
install_service "$here/gpu.conf"
# Last, because it needs another index than PyPI: NVIDIA's, and only that one for these names and all that they need. A second
# index beside the first would take whichever has the higher version, and on PyPI a name may be anybody's.
if_it_fails="without TensorRT the station is complete, and runs on the processor. Its libraries come from pypi.nvidia.com,
which this computer has to reach; or from wheels in a folder: PIP_FIND_LINKS=FOLDER $0"
step "TensorRT" "$python" -I -m pip --isolated install --index-url https://pypi.nvidia.com --only-binary :all: \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} "tensorrt-cu$cuda>=10.3,<12"
say_how_to_go_on
