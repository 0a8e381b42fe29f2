#!/bin/sh
# Check that a tag names the version of the code, and that the changelog has a dated section for it.
# usage: check_release.sh v1.2.3
set -eu

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' airflow_provider_videodb/__init__.py)

[ "$1" = "v$version" ] || fail "The tag is '$1', but the version is $version. Nothing was published." \
    "Next step: Delete the tag. Then change __version__ in airflow_provider_videodb/__init__.py, or tag v$version."
grep -F "## [$version] - " CHANGELOG.md | grep -q ' [0-9]\{4\}-[0-9]\{2\}-[0-9]\{2\}$' ||
    fail "CHANGELOG.md has no section '## [$version] - YYYY-MM-DD'. Nothing was published." \
        "Next step: Delete the tag. Then give the section Unreleased this heading, and tag that commit."
