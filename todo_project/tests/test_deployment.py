"""What deploy/ and the operators' pages give to be copied: all of it on the settings of the one service."""

import re
from configparser import ConfigParser

import pytest
from django.conf import settings

ENV_FILE = "ENV_FILE=/etc/todo.env"


def unit(name):
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(settings.BASE_DIR / "deploy" / name)
    return unit


def test_an_instance_reads_the_file_that_the_commands_read():
    service = unit("todo@.service")["Service"]
    assert (service["Environment"], "EnvironmentFile" in service) == (ENV_FILE, False)


def test_the_proxy_asks_where_the_instances_listen():
    assert unit("todo@.service")["Service"]["Sockets"] == "todo.socket"
    address = unit("todo.socket")["Socket"]["ListenStream"]
    assert f"    server {address} " in (settings.BASE_DIR / "deploy" / "nginx.conf").read_text()


@pytest.mark.parametrize("page", ["deployment", "operations"])
def test_a_command_to_be_copied_names_the_file(page):
    text = (settings.BASE_DIR / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    commands = [part for kind, block in blocks for part in (block.splitlines() if kind == "sh" else [block])]
    commands = [command for command in commands if "manage.py" in command]
    assert [command for command in commands if ENV_FILE not in command] == []
    assert commands != []
