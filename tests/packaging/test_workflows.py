"""The workflows on GitHub run make targets, and the required check waits for all of them."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.dists import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BUILDING_TARGETS = {"package", "sbom"}
# They need what only a runner has: a built sdist, root, and the release.
OTHER_COMMANDS = ("tar", "sudo apt-get", "gh release create")


def jobs(file):
    return yaml.safe_load(file.read_text())["jobs"]


def steps():
    return [
        pytest.param(step, id=f"{file.stem}-{name}-{number}")
        for file in WORKFLOWS
        for name, job in jobs(file).items()
        for number, step in enumerate(job.get("steps", ()))
    ]


def make_targets(text):
    return re.findall(r"\bmake (?:--\S+ )*([a-z-]+)", text)


@pytest.fixture(scope="module")
def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("step", [one for one in steps() if "run" in one.values[0]])
def test_step_runs_a_target_of_make(step, targets):
    called = make_targets(step["run"])
    assert set(called) <= targets
    assert called or step["run"].startswith(OTHER_COMMANDS)


@pytest.mark.parametrize("step", [one for one in steps() if "uses" in one.values[0]])
def test_action_is_pinned_by_its_hash(step):
    assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", step["uses"])


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_hash_has_its_version_in_a_comment(file):
    pins = [line for line in file.read_text().splitlines() if re.search(r"uses: .*@", line)]
    assert pins
    assert [line for line in pins if not re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_has_no_permission_by_default(file):
    assert yaml.safe_load(file.read_text())["permissions"] == {}
    assert [name for name, job in jobs(file).items() if "permissions" not in job] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_job_has_a_time_limit(file):
    assert [name for name, job in jobs(file).items() if "steps" in job and "timeout-minutes" not in job] == []


def test_required_check_waits_for_each_job():
    ci = jobs(ROOT / ".github" / "workflows" / "ci.yml")
    assert set(ci["required"]["needs"]) == ci.keys() - {"required"}
    assert ci["required"]["if"] == "always()"


def test_released_files_are_those_that_were_tested():
    """Only one job builds, and the jobs that publish have no source from which they could."""
    release = jobs(ROOT / ".github" / "workflows" / "release.yml")
    ci = jobs(ROOT / ".github" / "workflows" / "ci.yml")
    builds = [
        name
        for name, job in ci.items()
        for step in job["steps"]
        if {*make_targets(step.get("run", ""))} & BUILDING_TARGETS
    ]
    assert builds == ["package"]
    for name in ("publish", "announce"):
        used = [step.get("uses", "") for step in release[name]["steps"]]
        assert not any(action.startswith("actions/checkout@") for action in used)
    assert release["publish"]["needs"] == "ci"
    assert release["announce"]["needs"] == "publish"
