#!/bin/sh
# Write the constraints for `make older`: a release of releases.txt, with the packages of the week of that release.
# usage: compile.sh PYTHON 3.2.2 > airflow-3.2.txt       (PYTHON is that of an environment with uv)
set -eu

python=$1
release=$2
folder=$(dirname "$0")
day=$(sed -n "s/^$release //p" "$folder/releases.txt")
[ -n "$day" ] || { echo "Airflow $release is not in $folder/releases.txt." >&2; exit 1; }

# The VideoDB SDK that pyproject.toml asks for is younger than some of these releases.
sdk_day=2026-08-01

echo "# Every version that \`make older\` takes: Airflow $release, and packages as of $day. Made by compile.sh."
echo "apache-airflow==$release" | "$python" -m uv --quiet pip compile --exclude-newer "$day" \
    --exclude-newer-package "videodb=$sdk_day" --universal \
    --python-version 3.11 --no-annotate --no-header --constraint - \
    --extra sdk --group "$folder/../pyproject.toml:older" "$folder/../pyproject.toml"
