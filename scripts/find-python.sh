#!/bin/sh
# Print the first, or the newest, Python here that Postlude supports.
#   scripts/find-python.sh default|newest
set -eu

supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Print the first of these that is supported. After each name comes what pyenv has installed of it.
first_of() {
    for name in "$@"; do
        for candidate in "$name" "$HOME"/.pyenv/versions/"${name#python}".*/bin/python; do
            if supported "$candidate"; then
                "$candidate" -c 'import sys; print(sys.executable)'
                exit 0
            fi
        done
    done
    echo "Postlude needs Python 3.11 or later. On Debian: apt-get install python3" >&2
    exit 1
}

case $1 in
default) first_of python3 python3.11 python3.12 python3.13 ;;
newest) first_of python3.14 python3.13 python3.12 python3 ;;
*) echo "usage: $0 default|newest" >&2; exit 2 ;;
esac
