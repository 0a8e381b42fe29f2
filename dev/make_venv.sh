#!/bin/sh
# Create the virtual environment for all other commands.
# usage: make_venv.sh FOLDER CONSTRAINTS SOURCE GROUP...       (PYTHON=… selects the interpreter)
# SOURCE is this folder with the extras to install, such as '.[sdk]', or '' for the groups alone.
# A GROUP is a dependency group of pyproject.toml.
set -eu

venv=$1
constraints=$2
source=$3
shift 3

quietly() {
    sh "$(dirname "$0")/quietly.sh" "$@"
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "No Python 3.11 or newer was found. These were tried: ${PYTHON:-python3, python3.13, python3.12, python3.11}." \
         "Next step: Install Python, or name yours:  make PYTHON=/path/to/python3.12 demo"
}

python=$(find_python)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python cannot create a virtual environment because its venv module is not installed." \
         "Next step: Install it; on Debian and Ubuntu:  apt-get install python$version-venv"
fi

if [ ! -x "$venv/bin/python" ] || ! new_enough "$venv/bin/python"; then
    echo "Creating $venv with $("$python" --version) ..."
    "$python" -m venv --clear "$venv"
fi

echo "Installing ${source:+Airflow, this provider and }the tools (once; a few minutes on a slow network) ..."
# --group needs pip 25.1. The shell must split the groups into words, so they are not quoted.
quietly "$venv/bin/python" -m pip install --upgrade 'pip>=25.1'
quietly "$venv/bin/python" -m pip install --constraint "$constraints" \
    ${source:+--editable "$source"} $(printf -- '--group %s ' "$@")
[ -n "$source" ] || exit 0

# pip reports no error if a dependency overrides a pin.
wanted=$(sed -n 's/^apache-airflow==//p' "$constraints")
found=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("apache-airflow"))')
[ "$wanted" = "$found" ] || fail "Airflow $found was installed, but $constraints pins $wanted." \
    "Next step: Delete $venv and run the command again."
quietly "$venv/bin/python" -m pip check
