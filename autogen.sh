#!/bin/sh
# autogen.sh - makes ./configure; needed once in a fresh checkout.
set -e
cd "$(dirname "$0")"
exec autoreconf -fi "$@"
