"""Tests that ``deploy/`` and the commands in the guides use the same settings and the same socket."""

import re
import subprocess
from configparser import ConfigParser

import pytest
from django.conf import settings

from testing.programs import find_program

ENV_FILE = "ENV_FILE=/etc/todo.env"


def read_unit(name):
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(settings.BASE_DIR / "deploy" / name)
    return unit


def test_unit_reads_the_settings_file_of_the_commands():
    service = read_unit("todo@.service")["Service"]
    assert (service["Environment"], "EnvironmentFile" in service) == (ENV_FILE, False)


def test_proxy_uses_the_socket_of_the_instances():
    assert read_unit("todo@.service")["Service"]["Sockets"] == "todo.socket"
    address = read_unit("todo.socket")["Socket"]["ListenStream"]
    assert f"    server {address} " in (settings.BASE_DIR / "deploy" / "nginx.conf").read_text()


def rate_exposure(path):
    """Return systemd's rating of a unit, from 0 (safe) to 10, without a running systemd."""
    command = [find_program("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager", path]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", output)[1])


def test_unit_is_rated_below_3():
    assert rate_exposure(settings.BASE_DIR / "deploy" / "todo@.service") < 3


def test_control_without_hardening_unit_is_exposed(tmp_path):
    unit = (settings.BASE_DIR / "deploy" / "todo@.service").read_text()
    before, after = re.split("^# Hardening.*?(?=^\\[Install)", unit, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "todo@.service").write_text(before + after)
    assert rate_exposure(tmp_path / "todo@.service") > 8


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments", [("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")], ids=["check", "test"]
)
def test_promtool_accepts_prometheus_files(arguments):
    """``check config`` checks the alerts too."""
    command = [find_program("promtool", "prometheus"), *arguments]
    process = subprocess.run(
        command, cwd=settings.BASE_DIR / "deploy" / "prometheus", capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.once
def test_each_alert_fires_and_is_silent_in_the_tests():
    directory = settings.BASE_DIR / "deploy" / "prometheus"
    alerts = re.findall(r"- alert: (\w+)", (directory / "alerts.yml").read_text())
    tested = (directory / "alerts_test.yml").read_text()
    silent = re.findall(r"alertname: (\w+), exp_alerts: \[\]", tested)
    firing = re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n\s+- exp_labels", tested)
    assert alerts == sorted(set(firing), key=alerts.index) == sorted(set(silent), key=alerts.index)


@pytest.mark.parametrize("page", ["deployment", "operations"])
def test_documented_commands_name_the_settings_file(page):
    text = (settings.BASE_DIR / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    commands = [part for kind, block in blocks for part in (block.splitlines() if kind == "sh" else [block])]
    commands = [command for command in commands if "manage.py" in command]
    assert [command for command in commands if ENV_FILE not in command] == []
    assert commands != []
