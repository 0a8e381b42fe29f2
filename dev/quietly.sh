#!/bin/sh
# Run a command, and show what it prints only if it fails.
# usage: quietly.sh COMMAND...
output=$("$@" 2>&1) && exit
code=$?
printf '%s\n' "$output" >&2
exit "$code"
