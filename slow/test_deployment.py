"""The commands of docs/deployment.md, from an empty Debian to a page in a browser.

The tests do what systemd does on a real machine.
"""

import re
import subprocess
from configparser import ConfigParser

import pytest
from playwright.sync_api import expect, sync_playwright

from slow.debian import install_debian, running_machine, write_program
from testing.programs import find_program
from testing.python_processes import ROOT

pytestmark = pytest.mark.once

HOST = "todo.example.org"
PASSWORD = "a long password of olga"
ANSWERS = {"Username": "olga", "Email address:": "", "Password:": PASSWORD, "Password (again):": PASSWORD}

#: The address in the page, and the repository that the machine has instead.
ADDRESS, COPY = "https://git.example.org/todo.git", "/root/todo.git"
GIT_CONFIGURATION = f'[url "{COPY}"]\n\tinsteadOf = {ADDRESS}\n'

#: Keeps the arguments for the test.
SYSTEMCTL = '#!/bin/sh\necho "$@" >> /var/log/systemctl\n'


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Yield an empty Debian with a repository to clone."""
    root = tmp_path_factory.mktemp("machine")
    install_debian(root)
    write_program(root / "usr/local/bin/systemctl", SYSTEMCTL)
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
    (root / "root/.gitconfig").write_text(GIT_CONFIGURATION)
    commit_files(root / COPY[1:])
    with running_machine(root) as machine:
        yield machine


def commit_files(repository):
    """Make a repository whose only commit has the files under test, committed or not."""
    git = ["git", f"--git-dir={repository}", f"--work-tree={ROOT}", "-c", "user.name=test", "-c", "user.email=test"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
    subprocess.run([*git, "add", "."], cwd=ROOT, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=The files under test"], cwd=ROOT, check=True)


def blocks_below(heading, page="deployment.md"):
    """Return the blocks of commands below a heading."""
    text = (ROOT / "docs" / page).read_text()
    [section] = re.findall(rf"^#+ {heading}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def run_block(machine, block):
    """Run the commands of a block, and then do what systemd does on a real machine."""
    script = f"cd /srv/todo 2> /dev/null || cd\n{block}"
    if "createsuperuser" in block:
        machine.run_at_terminal(script, ANSWERS)
    else:
        machine.run(script, own_network="apt-get" not in block)
    if "postgresql python3" in block:
        start_postgresql(machine)
    if "systemctl enable" in block:
        start_service(machine)
    if "systemctl reload nginx" in block:
        machine.run("nginx")


def start_postgresql(machine):
    version, cluster = machine.run("pg_lsclusters --no-header").split()[:2]
    machine.run(f"pg_ctlcluster {version} {cluster} start")


def read_unit(path):
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(path)
    return unit


def start_service(machine):
    """Start an instance as its units describe it, without their hardening."""
    units = machine.root / "etc/systemd/system"
    service, listening = read_unit(units / "todo@.service")["Service"], read_unit(units / "todo.socket")["Socket"]
    script = f"cd {service['WorkingDirectory']} && exec {service['ExecStart']}"
    user = ["setpriv", f"--reuid={service['User']}", f"--regid={service['User']}", "--clear-groups"]
    program = ["chroot", str(machine.root), *user, "env", service["Environment"], "sh", "-c", script]
    activate = find_program("systemd-socket-activate", "systemd")
    machine.start(activate, f"--listen={listening['ListenStream']}", *program)


@pytest.fixture(scope="module")
def deployed(machine):
    """Run all commands from the empty machine to the first page."""
    for block in blocks_below("From an empty machine"):
        run_block(machine, block)
    return machine


@pytest.fixture
def page(deployed, tmp_path):
    """Yield a page of Chromium in the network of the machine."""
    chromium = find_program("chromium", "chromium")
    write_program(tmp_path / "chromium", f'#!/bin/sh\nexec nsenter --target={deployed.pid} --net {chromium} "$@"\n')
    options = ["--no-sandbox", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tmp_path / "chromium", args=options)
        yield browser.new_page(base_url=f"https://{HOST}", ignore_https_errors=True)
        browser.close()


def test_commands_lead_to_a_styled_page(deployed, page):
    styles = []
    page.on("response", lambda response: response.request.resource_type == "stylesheet" and styles.append(response))
    page.goto("/admin/")
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Tasks").first).to_be_visible()
    assert {(style.status, style.header_value("server")) for style in styles} == {(200, "nginx")}
    assert page.evaluate("getComputedStyle(document.querySelector('#header')).backgroundColor") != "rgba(0, 0, 0, 0)"


def test_commands_ask_systemd_for_instances_and_proxy(deployed):
    log = (deployed.root / "var/log/systemctl").read_text()
    assert log == "enable --now todo.socket todo@1 todo@2\nreload nginx\n"
