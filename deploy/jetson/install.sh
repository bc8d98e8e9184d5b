#!/bin/sh
# Installs the station on a Jetson with JetPack 6 or 7: CUDA and TensorRT of JetPack, environment, service.
# May be run again. Downloads happen here, never when the station runs. deploy/jetson/README.md has every step.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=deploy/install-common.sh
. "$here/../install-common.sh"

read_options "$@"
[ -r "$root/etc/nv_tegra_release" ] || refuse "this is no Jetson: /etc/nv_tegra_release is not there" \
    "on a PC: deploy/desktop/install.sh"
release=$(sed -n 's/^# R\([0-9]*\) (release).*/\1/p' "$root/etc/nv_tegra_release")
case $release in
    36) jetpack=6 ;;
    38 | 39) jetpack=7 ;;
    *) refuse "Jetson Linux ${release:-unknown}: 36 (JetPack 6), 38 and 39 (JetPack 7) are known to work" \
        "flash JetPack 6.2 or newer with NVIDIA SDK Manager" ;;
esac
need_debian_and_root
echo "Jetson Linux $release, JetPack $jetpack"

step "list of packages" apt-get update
if_it_fails="JetPack's packages come from repo.download.nvidia.com; /etc/apt/sources.list.d/nvidia-l4t-apt-source.list names it"
install_packages "CUDA and TensorRT of JetPack, compiler, Python" nvidia-jetpack python3-libnvinfer \
    g++ libc6-dev python3-dev python3-venv
if_it_fails=
make_user
copy_source
# TensorRT for Python is a package of the system: the environment has to see it.
make_environment true
# shellcheck disable=SC2119  # JetPack has the headers
build_pycuda
install_service "$here/gpu.conf"
echo "The power mode is yours to choose, see deploy/jetson/README.md: sudo nvpmodel -q"
say_how_to_go_on
