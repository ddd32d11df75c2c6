#!/bin/sh
# See that there is a Chromium for the demo's browser test. Never fails: without one the test is skipped, visibly.
if command -v chromium >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser test ..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo "No Chromium here: the browser test will be skipped. To have it: apt-get install chromium" >&2
exit 0
