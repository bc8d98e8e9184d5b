# shellcheck shell=sh
# What both installers share; sourced, not run. Expects the folder of the installer in `here`.

: "${here:?is the folder of the installer}"
source_dir=$(CDPATH='' cd -- "$here/../.." && pwd)
prefix=/opt/station
python=$prefix/.venv/bin/python
root=
check=no
teach=
if_it_fails=
EXIT_FAILED=1
EXIT_REFUSED=2

usage() {
    echo "usage: $0 [--teach] [--check [--root DIR]]"
    echo "  --teach     also what teaching and refreshing engines need (PyTorch)"
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
            --teach) teach=-train ;;
            --root)
                [ $# -ge 2 ] || { usage >&2; exit "$EXIT_REFUSED"; }
                root=$(absolute "$2")
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
    if [ -d "${PIP_FIND_LINKS:-}" ]; then
        PIP_FIND_LINKS=$(absolute "$PIP_FIND_LINKS")
        export PIP_FIND_LINKS
    fi
    # All that follows runs as root: nothing may be found in the folder of the caller, such as a pip.py.
    cd /
}

absolute() {
    CDPATH='' cd -- "$1" && pwd
}

# Says a step, and does it unless only asked. A step that fails ends the installer: `if_it_fails` says more about it.
step() {
    doing=$1
    echo "--> $doing"
    shift
    if [ "$check" = yes ]; then
        echo "    $*"
        return
    fi
    "$@" && return
    echo "$0: failed: $doing. The lines above say why." >&2
    [ -z "$if_it_fails" ] || echo "$0: $if_it_fails" >&2
    echo "$0: do: fix it and run this again; what is done already stays and is not harmed" >&2
    exit "$EXIT_FAILED"
}

need_debian_and_root() {
    [ -e "$root/etc/debian_version" ] || refuse "this is no Debian or Ubuntu: packages come from apt" \
        "follow deploy/*/README.md by hand"
    [ "$check" = no ] || return 0
    [ "$(id -u)" -eq 0 ] || refuse "packages, user and service need root" "sudo $0"
    for unit in station station-plant; do
        if systemd_runs && systemctl --quiet is-active "$unit.service"; then
            refuse "$unit.service runs, and its files would change under it" "systemctl stop $unit, then this again"
        fi
    done
}

systemd_runs() {
    [ -d /run/systemd/system ]
}

# install_packages TITLE PACKAGES...
install_packages() {
    title=$1
    shift
    step "$title" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
    [ "$check" = yes ] || /usr/bin/python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        refuse "$(/usr/bin/python3 --version) is too old: the station needs 3.10" "Debian 12, Ubuntu 22.04 or newer"
}

make_user() {
    getent passwd station >/dev/null || step "user of the service" useradd --system --user-group \
        --no-create-home --home-dir /var/lib/station --shell /usr/sbin/nologin station
    for group in station-operate station-maintain; do
        getent group "$group" >/dev/null || step "who may $group: members of that group" groupadd --system "$group"
    done
    # The pages have a user of their own: by the group of the station they read, and the station reads labels by theirs.
    getent passwd station-hmi >/dev/null || step "user of the pages" useradd --system --user-group \
        --no-create-home --home-dir /var/lib/station/hmi --shell /usr/sbin/nologin station-hmi
    step "the pages read what the station writes" usermod --append --groups station station-hmi
    step "the station reads labels" usermod --append --groups station-hmi station
    # So has the process that connections of the plant come to.
    getent passwd station-plant >/dev/null || step "user of the plant process" useradd --system --user-group \
        --no-create-home --home-dir /var/lib/station/plant --shell /usr/sbin/nologin station-plant
    step "it reads what the station writes" usermod --append --groups station station-plant
    step "commands of the station's user write its cursors" usermod --append --groups station-plant station
    for group in video render; do
        if getent group "$group" >/dev/null; then
            step "GPU and cameras for it: group $group" usermod --append --groups "$group" station
        fi
    done
    # Who is in none of these groups does not enter: below it some files are open to all who do.
    step "its folder" install -d -m 0750 -o station -g station /var/lib/station
    for folder in hmi labels reports; do
        step "what the pages write: $folder" install -d -m 2771 -o station-hmi -g station-hmi "/var/lib/station/$folder"
        # Of an older installation, where the pages ran as the station.
        step "and what is there of $folder" chown -R station-hmi:station-hmi "/var/lib/station/$folder"
    done
    for file in labels.db msa.db; do
        [ ! -e "$root/var/lib/station/$file" ] || step "$file moves to where both write it" \
            mv -n "/var/lib/station/$file" /var/lib/station/labels/
        # What the pages own may be a link that a stolen process of theirs has made: nothing behind one is touched.
        if [ -f "$root/var/lib/station/labels/$file" ] && [ ! -L "$root/var/lib/station/labels/$file" ]; then
            step "$file belongs to the pages" chown -h station-hmi:station-hmi "/var/lib/station/labels/$file"
            step "the station writes it, too, and the plant process reads it" chmod 0664 "/var/lib/station/labels/$file"
        fi
    done
    own_plant /var/lib/station/plant station-plant
}

# own_plant FOLDER USER: of an older installation, where the plant process ran as the station, all that is there stays.
own_plant() {
    plant=$1
    # What is in it may be a link that a stolen process of it has made: nothing behind one is touched.
    step "what the plant process writes" install -d -m 2771 -o "$2" -g "$2" "$plant"
    step "and what is there of it" chown -R -h "$2:$2" "$plant"
    for file in plant.db plant.db-wal plant.db-shm plant.lock; do
        if [ -f "$root$plant/$file" ] && [ ! -L "$root$plant/$file" ]; then
            step "$file: the station writes it, too" chmod 0664 "$plant/$file"
        fi
    done
}

# Built from a copy, or files of root would be left in the folder of whoever has cloned this.
copy_source() {
    step "the copy of the last time goes" rm -rf "$prefix/source"
    step "folder" install -d "$prefix/source"
    step "copy of the source" cp -R "$source_dir/station" "$source_dir/drivers" "$source_dir/engines" \
        "$source_dir/benchmarks" "$source_dir/pyproject.toml" "$source_dir/setup.py" "$source_dir/constraints.txt" \
        "$source_dir/README.md" "$source_dir/LICENSE" "$prefix/source"
}

# make_environment SEES_SYSTEM (true or false): made anew when it is of the other kind, half made, or of a Python that is
# not there any more.
make_environment() {
    sees_system=$1
    set --
    [ "$sees_system" = false ] || set -- --system-site-packages
    if ! grep -qs "include-system-site-packages = $sees_system" "$root$prefix/.venv/pyvenv.cfg" ||
        ! "$root$python" -I -m pip --version >/dev/null 2>&1; then
        step "environment in $prefix/.venv" /usr/bin/python3 -I -m venv --clear "$@" "$prefix/.venv"
    fi
    pip_install "what packages are built with" build
    pip_install "what the station needs" "station$teach"
    # Everything that it needs is there, so nothing else may be fetched for it.
    step "the station" "$python" -I -m pip install --no-deps --no-index --no-build-isolation "$prefix/source"
    step "the command station" ln -sfn "$prefix/.venv/bin/station" /usr/local/bin/station
}

# pip_install TITLE LIST [OPTIONS...]: a list of deploy/hashes, exact versions and the checksums that their files must have.
pip_install() {
    title=$1 list=$2
    shift 2
    step "$title" "$python" -I -m pip install --require-hashes --no-build-isolation "$@" \
        --requirement "$source_dir/deploy/hashes/$list.txt"
}

# shellcheck disable=SC2120  # the installer for a Jetson has none
# build_pycuda [LIST]: there is no wheel of it. LIST names packages of NVIDIA's on PyPI with the headers of CUDA; without
# it those of the CUDA toolkit are taken. ../pycuda-settings.py names the folders.
build_pycuda() {
    if "$root$python" -I -c 'import pycuda' >/dev/null 2>&1; then
        return
    fi
    step "folder to build in" install -d "$prefix/build"
    step "settings of pycuda" install -m 0644 "$source_dir/deploy/pycuda-settings.py" "$prefix/build/.aksetup-defaults.py"
    [ $# -eq 0 ] || pip_install "headers of CUDA" "$1" --no-deps --target "$prefix/build"
    step "pycuda, built here: takes minutes" env HOME="$prefix/build" \
        XDG_CONFIG_HOME="${XDG_CONFIG_HOME:-${HOME:-/root}/.config}" \
        "$python" -I -m pip install --no-cache-dir --require-hashes --no-build-isolation \
        --requirement "$source_dir/deploy/hashes/pycuda.txt"
    step "what it was built with goes" rm -rf "$prefix/build"
}

# install_service DROP_IN
install_service() {
    # Set-up on the pages has the station write station.toml and recipes; the keys stay root's, see station.service.
    step "folder of the configuration" install -d -m 0750 -o station -g station /etc/station /etc/station/recipes
    step "folder of the keys whose engines are taken" install -d -m 0755 /etc/station/trusted_keys
    if [ ! -e "$root/etc/station/station.toml" ]; then
        step "configuration to begin with" install -m 0640 -o station -g station "$source_dir/deploy/station.toml" \
            /etc/station/station.toml
    fi
    step "service, pages, weekly refresh and reports" install -m 0644 "$source_dir/systemd/station.service" \
        "$source_dir/systemd/station-hmi.service" "$source_dir/systemd/station-plant.service" \
        "$source_dir/systemd/station-process.service" \
        "$source_dir/systemd/station-refresh.service" "$source_dir/systemd/station-refresh.timer" \
        "$source_dir/systemd/station-fleet-pull.service" "$source_dir/systemd/station-fleet-pull.timer" \
        "$source_dir/systemd/station-report.service" "$source_dir/systemd/station-report.timer" /etc/systemd/system
    step "its users, where they are made from files" install -D -m 0644 "$source_dir/systemd/station.sysusers.conf" \
        /usr/lib/sysusers.d/station.conf
    step "its folder in memory" install -D -m 0644 "$source_dir/systemd/station.tmpfiles.conf" \
        /usr/lib/tmpfiles.d/station.conf
    step "what the GPU needs before it" install -D -m 0644 "$1" /etc/systemd/system/station.service.d/gpu.conf
    if systemd_runs || [ -n "$root" ]; then
        step "systemd reads it" systemctl daemon-reload
    fi
}

say_how_to_go_on() {
    if [ "$check" = yes ]; then
        echo "Nothing was done: --check."
        return
    fi
    echo "Installed. What TensorRT still needs:"
    runuser -u station -- /usr/local/bin/station check --gpu --config /etc/station/station.toml ||
        echo "Until then the station runs on the processor (runtime = \"auto\")."
    echo "Next: edit /etc/station/station.toml, then: systemctl enable --now station"
}
