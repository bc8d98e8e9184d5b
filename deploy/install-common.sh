# shellcheck shell=sh
# What both installers share; sourced, not run. Expects the folder of the installer in `here`.

source_dir=$(CDPATH='' cd -- "$here/../.." && pwd)
prefix=/opt/station
root=
check=no
EXIT_REFUSED=2

usage() {
    echo "usage: $0 [--check [--root DIR]]"
    echo "  --check     say what would be done, do nothing; needs no root"
    echo "  --root DIR  with --check: read what this computer is from the files under DIR"
}

refuse() {
    echo "$0: refused: $1" >&2
    [ $# -lt 2 ] || echo "$0: do: $2" >&2
    exit "$EXIT_REFUSED"
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --check) check=yes ;;
            --root)
                [ $# -ge 2 ] || { usage >&2; exit "$EXIT_REFUSED"; }
                root=$2
                shift
                ;;
            --help | -h) usage; exit 0 ;;
            *) usage >&2; exit "$EXIT_REFUSED" ;;
        esac
        shift
    done
    if [ -n "$root" ] && [ "$check" = no ]; then
        refuse "--root is for --check only"
    fi
}

# Says a step, and does it unless only asked.
step() {
    echo "--> $1"
    shift
    if [ "$check" = yes ]; then
        echo "    $*"
    else
        "$@"
    fi
}

need_debian_and_root() {
    [ -e "$root/etc/debian_version" ] || refuse "this is no Debian or Ubuntu: packages come from apt" \
        "follow deploy/*/README.md by hand"
    if [ "$check" = no ] && [ "$(id -u)" -ne 0 ]; then
        refuse "packages, user and service need root" "sudo $0"
    fi
}

make_user() {
    id station >/dev/null 2>&1 ||
        step "user of the service" useradd --system --user-group --create-home --home-dir /var/lib/station \
            --shell /usr/sbin/nologin station
    for group in video render; do
        if getent group "$group" >/dev/null 2>&1; then
            step "GPU and cameras for it: group $group" usermod --append --groups "$group" station
        fi
    done
}

# make_environment SYSTEM_PACKAGES PIP_ARGUMENTS...: pycuda is built against the CUDA toolkit that is found.
make_environment() {
    system_packages=$1
    shift
    sees_system=false
    [ -z "$system_packages" ] || sees_system=true
    if ! grep -qs "include-system-site-packages = $sees_system" "$prefix/.venv/pyvenv.cfg"; then
        # shellcheck disable=SC2086  # no option when it is empty
        step "environment in $prefix/.venv" /usr/bin/python3 -m venv --clear $system_packages "$prefix/.venv"
    fi
    step "the station and pycuda" env "PATH=/usr/local/cuda/bin:$PATH" \
        "LIBRARY_PATH=/usr/local/cuda/lib64/stubs:/usr/lib/$(uname -m)-linux-gnu/stubs" \
        "$prefix/.venv/bin/python" -m pip install --constraint "$prefix/source/constraints.txt" "$@"
}

# Built from a copy, or files of root would be left in the folder of whoever has cloned this.
copy_source() {
    step "the copy of the last time goes" rm -rf "$prefix/source"
    step "folder" install -d "$prefix/source"
    step "copy of the source" cp -R "$source_dir/station" "$source_dir/drivers" "$source_dir/engines" \
        "$source_dir/benchmarks" "$source_dir/pyproject.toml" "$source_dir/setup.py" "$source_dir/constraints.txt" \
        "$source_dir/README.md" "$source_dir/LICENSE" "$prefix/source"
}

# install_service DROP_IN
install_service() {
    step "folder of the configuration" install -d -m 0750 -g station /etc/station
    if [ ! -e /etc/station/station.toml ]; then
        step "configuration to begin with" install -m 0640 -g station "$source_dir/deploy/station.toml" \
            /etc/station/station.toml
    fi
    step "service" install -m 0644 "$source_dir/systemd/station.service" /etc/systemd/system/station.service
    step "what the GPU needs before it" install -D -m 0644 "$1" /etc/systemd/system/station.service.d/gpu.conf
    step "systemd reads it" systemctl daemon-reload
}

say_how_to_go_on() {
    if [ "$check" = yes ]; then
        echo "Nothing was done: --check."
        return
    fi
    echo "Installed. Next, what TensorRT still needs:"
    "$prefix/.venv/bin/station" check --gpu --config /etc/station/station.toml || true
    echo "Then edit /etc/station/station.toml, and: systemctl enable --now station"
}
