#!/bin/sh
# Print the constraints for `make older`: a release of releases.txt, and the packages of its time.
# usage: compile.sh PYTHON 3.2.2 > airflow-3.2.txt       (PYTHON is the Python of an environment with uv)
set -eu

python=$1
release=$2
folder=$(dirname "$0")
day=$(sed -n "s/^$release //p" "$folder/releases.txt")
[ -n "$day" ] || { echo "Airflow $release is not in $folder/releases.txt." >&2; exit 1; }

# Some of these releases are older than the VideoDB SDK that pyproject.toml requires.
sdk_day=2026-08-01

echo "# Every version that \`make older\` takes: Airflow $release, and packages as of $day. Made by compile.sh."
echo "apache-airflow==$release" | "$python" -m uv --quiet pip compile --exclude-newer "$day" \
    --exclude-newer-package "videodb=$sdk_day" --universal \
    --python-version 3.11 --no-annotate --no-header --constraint - \
    --extra sdk --group "$folder/../pyproject.toml:older" "$folder/../pyproject.toml"
