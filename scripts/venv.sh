#!/bin/sh
# Make a virtual environment with the pinned tools and this project in it.
#   scripts/venv.sh PYTHON DIRECTORY
set -eu
python=$1 venv=$2

if [ ! -x "$venv/bin/python" ]; then
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv "$venv"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        # Debian keeps ensurepip in a package of its own. --target leaves the system's Python alone.
        tools=$venv.tools
        "$python" -m pip install --quiet --target "$tools" -r requirements/bootstrap.txt
        PYTHONPATH=$tools "$python" -m virtualenv --quiet "$venv"
        rm -rf "$tools"
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
        "$python" -m venv "$venv"
    else
        echo "Python cannot make a virtual environment here. Install it with: apt-get install python3-venv" >&2
        exit 1
    fi
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install -r requirements/dev.txt
# Isolation would fetch the build backend a second time, unpinned.
pip install --no-deps --no-build-isolation --editable .
