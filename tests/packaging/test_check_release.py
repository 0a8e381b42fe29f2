"""A tag is released only if the code and the changelog agree with it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.dists import ROOT

DATED = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-26\n"


@pytest.fixture
def check(tmp_path):
    def check(tag, *, changelog=DATED):
        script = tmp_path / "dev" / "check_release.sh"
        package = tmp_path / "airflow_provider_videodb"
        script.parent.mkdir()
        package.mkdir()
        shutil.copy(ROOT / "dev" / "check_release.sh", script)
        (package / "__init__.py").write_text('"""Text."""\n\n__version__ = "1.2.3"\n')
        (tmp_path / "CHANGELOG.md").write_text(changelog)
        return subprocess.run(["sh", script, tag], capture_output=True, text=True, check=False, timeout=10)

    return check


def test_tag_of_the_dated_version_passes(check):
    assert check("v1.2.3").returncode == 0


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2", ""])
def test_tag_of_another_version_is_refused(check, tag):
    refused = check(tag)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"The tag is '{tag}', but the version is 1.2.3. Nothing was published.\nNext")


@pytest.mark.parametrize("heading", ["## [1.2.3]", "## 1.2.3 - 2026-11-26", "## [1a2b3] - 2026-11-26"])
def test_version_without_dated_section_is_refused(check, heading):
    refused = check("v1.2.3", changelog=f"# Changelog\n\n## [Unreleased]\n\n{heading}\n")
    assert refused.returncode == 1
    assert "no section '## [1.2.3] - YYYY-MM-DD'" in refused.stderr
