#!/bin/sh
# Create the virtual environment that everything else runs in.
# usage: make_venv.sh FOLDER CONSTRAINTS SOURCE GROUP...       (PYTHON=… chooses the interpreter)
# SOURCE is this folder with the extras to install, such as '.[sdk]'; a GROUP is a dependency group of pyproject.toml.
set -eu

venv=$1
constraints=$2
source=$3
shift 3

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
    fail "No Python 3.11 or newer found (looked for: ${PYTHON:-python3, python3.13, python3.12, python3.11})." \
         "Next step: install one, or name yours:  make PYTHON=/path/to/python3.12 demo"
}

python=$(find_python)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python cannot create virtual environments: its venv module is not installed." \
         "Next step, on Debian and Ubuntu:  apt-get install python$version-venv"
fi

if [ ! -x "$venv/bin/python" ] || ! new_enough "$venv/bin/python"; then
    echo "Creating $venv with $("$python" --version) ..."
    "$python" -m venv --clear "$venv"
fi

echo "Installing Airflow, this provider and the tools (once; a few minutes on a slow network) ..."
# --group needs pip 25.1. The names of groups are words, which is why they stand unquoted.
"$venv/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
"$venv/bin/python" -m pip install --quiet --constraint "$constraints" \
    --editable "$source" $(printf -- '--group %s ' "$@")

# An editable install and a pin that some dependency overrode would otherwise go unnoticed.
wanted=$(sed -n 's/^apache-airflow==//p' "$constraints")
found=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("apache-airflow"))')
[ "$wanted" = "$found" ] || fail "Airflow $found was installed, but $constraints pins $wanted."
"$venv/bin/python" -m pip check
