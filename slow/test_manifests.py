"""Linters and schemas for ``Dockerfile``, ``compose.yaml`` and ``deploy/kubernetes.yaml``."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from testing.python_processes import ROOT

pytestmark = pytest.mark.once

#: Each file with the command that checks it, and a change after which the command must fail.
CHECKS = {
    "Dockerfile": (["hadolint"], ("WORKDIR /srv/todo", "WORKDIR srv/todo")),
    "compose.yaml": (
        ["check-jsonschema", "--builtin-schema=vendor.compose-spec"],
        ("read_only: true", "read_only: [1]"),
    ),
    "deploy/kubernetes.yaml": (["kubernetes-validate", "--strict"], ("minAvailable", "minimumAvailable")),
}
KUBERNETES = [*yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text())]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def check(command, path):
    """Run a program of the requirements on a file."""
    program, *options = command
    program = Path(sys.executable).with_name(program)
    return subprocess.run([program, *options, path], check=False, capture_output=True, text=True)


@pytest.mark.parametrize("name", CHECKS)
def test_manifest_has_no_finding(name):
    process = check(CHECKS[name][0], ROOT / name)
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.parametrize("name", CHECKS)
def test_control_without_valid_manifest_check_fails(name, tmp_path):
    command, (right, wrong) = CHECKS[name]
    text = (ROOT / name).read_text()
    assert right in text
    (tmp_path / Path(name).name).write_text(text.replace(right, wrong))
    assert check(command, tmp_path / Path(name).name).returncode == 1


def test_manifests_set_only_settings_that_exist():
    [config] = [document["data"] for document in KUBERNETES if document["kind"] == "ConfigMap"]
    names = {*config, *COMPOSE["services"]["service"]["environment"]}
    known = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {name.removesuffix("_FILE") for name in names} <= known


def test_kubernetes_has_every_kind_of_resource():
    kinds = ["ConfigMap", "Job", "Deployment", "Service", "PodDisruptionBudget"]
    assert [document["kind"] for document in KUBERNETES] == kinds
