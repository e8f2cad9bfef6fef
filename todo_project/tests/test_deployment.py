"""Tests that ``deploy/`` and the commands in the guides use the same settings and the same socket."""

import re
from configparser import ConfigParser

import pytest
from django.conf import settings

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


@pytest.mark.parametrize("page", ["deployment", "operations"])
def test_documented_commands_name_the_settings_file(page):
    text = (settings.BASE_DIR / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    commands = [part for kind, block in blocks for part in (block.splitlines() if kind == "sh" else [block])]
    commands = [command for command in commands if "manage.py" in command]
    assert [command for command in commands if ENV_FILE not in command] == []
    assert commands != []
