#!/bin/sh
# Print the first, or the newest, Python here that Postlude supports.
#   scripts/find-python.sh default|newest
set -eu

supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

installed() { ls -d "$HOME"/.pyenv/versions/"$1".*/bin/python 2>/dev/null || true; }

case $1 in
default) candidates="python3 python3.11 python3.12 python3.13 $(installed 3.11)" ;;
newest) candidates="python3.14 $(installed 3.14) python3.13 $(installed 3.13) python3.12 $(installed 3.12) python3" ;;
*) echo "usage: $0 default|newest" >&2; exit 2 ;;
esac

for candidate in $candidates; do
    if supported "$candidate"; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
echo "Postlude needs Python 3.11 or later. On Debian: apt-get install python3" >&2
exit 1
