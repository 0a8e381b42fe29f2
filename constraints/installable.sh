#!/bin/sh
# Install the wheel with each Airflow of releases.txt and the packages of its time, and load the package there.
# The last environment has the lowest version of each direct dependency.
# usage: installable.sh PYTHON       (the Python of an environment with build, hatchling and uv)
set -eu

python=$1
folder=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

uv() {
    "$python" -m uv --quiet "$@"
}

load() {
    # In this folder Python finds the installed package, not the source.
    (cd "$work" && AIRFLOW_HOME=$work/home "$work/$1/bin/python" load_everything.py "$2")
}

"$python" -m build --wheel --no-isolation --outdir "$work" "$folder/.." >/dev/null
wheel=$(echo "$work"/*.whl)
cp "$folder/load_everything.py" "$work"

grep -v '^#' "$folder/releases.txt" | while read -r release day; do
    uv venv --python "$python" "$work/$release"
    uv pip install --python "$work/$release/bin/python" --exclude-newer "$day" "apache-airflow==$release" "$wheel"
    load "$release" "$release"
done

read -r release day <<EOF
$(grep -v '^#' "$folder/releases.txt" | head -n 1)
EOF
uv venv --python "$python" "$work/lowest"
uv pip install --python "$work/lowest/bin/python" --exclude-newer "$day" --resolution lowest-direct \
    --requirements "$folder/../pyproject.toml"
uv pip install --python "$work/lowest/bin/python" --no-deps "$wheel"
load lowest "$release"
