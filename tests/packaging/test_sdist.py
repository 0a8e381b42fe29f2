"""The sdist is complete, clean, and the same from every build."""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from airflow_provider_videodb import __version__
from tests.support.dists import ROOT, Dists, build

#: What the sdist may hold. `*` matches any folder.
CONTENTS = [
    ".ci/run",
    ".github/*.md",
    ".github/*.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    "LICENSE",
    "Makefile",
    "NOTICE",
    "PKG-INFO",
    "[A-Z]*.md",
    "airflow_provider_videodb/*.html",
    "airflow_provider_videodb/*.js",
    "airflow_provider_videodb/*.svg",
    "airflow_provider_videodb/*.py",
    "airflow_provider_videodb/py.typed",
    "constraints/*.txt",
    "dev/*.py",
    "dev/*.sh",
    "docker/Dockerfile",
    "docker/compose.yaml",
    "docs/*.css",
    "docs/*.md",
    "docs/*.png",
    "docs/*.svg",
    "docs/conf.py",
    "example_dags/*.py",
    "noxfile.py",
    "pyproject.toml",
    "tests/*.json",
    "tests/*.py",
    "tests/*.yaml",
]


@pytest.fixture(scope="module")
def dists(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(dists, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(dists.sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"airflow_provider_videodb-{__version__}"


@pytest.fixture(scope="module")
def files(unpacked):
    return {file.relative_to(unpacked).as_posix() for file in unpacked.rglob("*") if file.is_file()}


def test_build_in_another_folder_is_identical(dists, unpacked, tmp_path):
    for file in unpacked.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    again = build(tmp_path, source=unpacked, umask=0o077)
    for name in Dists._fields:
        first, second = getattr(dists, name), getattr(again, name)
        assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())


def test_sdist_holds_these_kinds_of_files(files):
    assert [file for file in sorted(files) if not any(fnmatch.fnmatch(file, pattern) for pattern in CONTENTS)] == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked sdist has no list of its files")
def test_sdist_holds_each_file_of_the_repository(files):
    """So the tests run from the sdist."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    # A file that was removed is listed until the next commit.
    assert files - {"PKG-INFO"} == {name for name in tracked if name and (ROOT / name).exists()}


def test_sdist_holds_no_path_of_this_machine(unpacked, files):
    places = [str(place).encode() for place in (ROOT, Path.home(), Path(sys.prefix)) if len(place.parts) > 2]
    contents = {name: (unpacked / name).read_bytes() for name in files}
    assert [name for name, content in contents.items() for place in places if place in content] == []
