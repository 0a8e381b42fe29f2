#!/bin/sh
# Install the wheel beside each Airflow of releases.txt, with the packages of the week of its release, and load it there.
# The last row takes the lowest version of everything that pyproject.toml asks for.
# usage: installable.sh PYTHON       (that of an environment with build, hatchling and uv)
set -eu

python=$1
folder=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

uv() {
    "$python" -m uv --quiet "$@"
}

load() {
    # Away from the source, so that what is loaded is what was installed.
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
