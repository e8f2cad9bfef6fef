"""The commands of docs/deployment.md and docs/operations.md in an empty Debian, up to a page."""

import json
import re
import subprocess

import pytest
import yaml
from playwright.sync_api import expect, sync_playwright

from slow.debian import install_debian, running_machine, write_program
from slow.systemd import UNITS, Systemd
from testing.programs import find_program
from testing.python_processes import ROOT

pytestmark = pytest.mark.once

HOST = "todo.example.org"
PASSWORD = "a long password of olga"
ANSWERS = {"Username": "olga", "Email address:": "", "Password:": PASSWORD, "Password (again):": PASSWORD}

#: The address in the page, and the repository that the machine has instead.
ADDRESS, COPY = "https://git.example.org/todo.git", "/srv/todo.git"
GIT_CONFIGURATION = f'[url "{COPY}"]\n\tinsteadOf = {ADDRESS}\n[user]\n\tname = test\n\temail = test\n'

#: A release with another version and one more migration.
PUBLISH = f"""
git clone --quiet {COPY} /srv/work
cd /srv/work
sed -i 's/^__version__ = .*/__version__ = "99.0"/' todo_project/__init__.py
last=$(ls tasks/migrations | grep '^0' | tail -1)
cat > tasks/migrations/9999_note.py << END
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("tasks", "${{last%.py}}")]
    operations = [migrations.RunSQL("CREATE TABLE note (id integer)", "DROP TABLE note")]
END
git add .
git commit --quiet --message="A new release"
git push --quiet
"""

CURL = f"""
TOKEN=$(sed -n 's/^API_TOKEN=//p' /etc/todo.env)
curl --silent --show-error --fail --retry 5 --cacert /etc/ssl/certs/{HOST}.pem -H "Authorization: Bearer $TOKEN" https://{HOST}"""


class Deployment:
    """A machine on which the documented commands run."""

    def __init__(self, machine):
        self.machine, self.systemd = machine, Systemd(machine)

    def run_blocks(self, page, heading):
        for block in blocks_below(page, heading, "sh"):
            self.run_block(block)

    def run_block(self, block):
        """Run a block of commands, and do what systemd does on a real machine."""
        script = f"cd /srv/todo 2> /dev/null || cd\n{block}"
        if "createsuperuser" in block:
            self.machine.run_at_terminal(script, ANSWERS)
        else:
            self.machine.run(script, own_network="apt-get" not in block)
        if "apt-get" in block and " postgresql " in block:
            self.systemd.start_postgresql()
        self.systemd.carry_out()

    def request(self, path, *options):
        """Return the JSON of a response, through nginx and TLS."""
        return json.loads(self.machine.run(f"{CURL}{path} {' '.join(options)}"))

    def create_task(self, title):
        self.request("/api/tasks", "-H 'Content-Type: application/json'", f"-d '{json.dumps({'title': title})}'")

    def titles(self):
        return {task["title"] for task in self.request("/api/tasks")}

    def version(self):
        return self.request("/api/schema", "-H 'Accept: application/vnd.oai.openapi+json'")["info"]["version"]


def blocks_below(page, heading, kind):
    text = (ROOT / "docs" / page).read_text()
    [section] = re.findall(rf"^#+ {heading}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert blocks != []
    return blocks


def commit_files(repository):
    """Make a repository whose only commit has the files under test, committed or not."""
    git = ["git", f"--git-dir={repository}", f"--work-tree={ROOT}", "-c", "user.name=test", "-c", "user.email=test"]
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository], check=True)
    subprocess.run([*git, "add", "."], cwd=ROOT, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=The files under test"], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Run all commands from the empty machine to the first page."""
    root = tmp_path_factory.mktemp("machine")
    install_debian(root)
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {HOST} service\n")
    (root / "root/.gitconfig").write_text(GIT_CONFIGURATION)
    commit_files(root / COPY[1:])
    with running_machine(root) as machine:
        deployment = Deployment(machine)
        deployment.run_blocks("deployment.md", "From an empty machine")
        assert deployment.systemd.carried_out == [f"enable --now {UNITS}", "reload nginx"]
        yield deployment


@pytest.fixture
def page(deployed, tmp_path):
    """Yield a page of Chromium in the network of the machine."""
    chromium = find_program("chromium", "chromium")
    script = f'#!/bin/sh\nexec nsenter --target={deployed.machine.pid} --net {chromium} "$@"\n'
    write_program(tmp_path / "chromium", script)
    options = ["--no-sandbox", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tmp_path / "chromium", args=options)
        # curl has verified the certificate.
        yield browser.new_page(base_url=f"https://{HOST}", ignore_https_errors=True)
        browser.close()


def test_commands_lead_to_a_styled_page(page):
    styles = []
    page.on("response", lambda response: response.request.resource_type == "stylesheet" and styles.append(response))
    page.goto("/admin/")
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Tasks").first).to_be_visible()
    assert {(style.status, style.header_value("server")) for style in styles} == {(200, "nginx")}
    assert page.evaluate("getComputedStyle(document.querySelector('#header')).backgroundColor") != "rgba(0, 0, 0, 0)"


def test_documented_backup_restores_tasks(deployed):
    deployed.create_task("Before the backup")
    deployed.run_blocks("operations.md", "Backups")
    deployed.create_task("After the backup")
    assert deployed.titles() == {"Before the backup", "After the backup"}
    deployed.run_blocks("operations.md", "Restore")
    assert deployed.titles() == {"Before the backup"}


def test_documented_release_has_a_way_back(deployed):
    before = deployed.version()
    deployed.machine.run(PUBLISH)
    deployed.run_blocks("deployment.md", "A new release")
    assert (deployed.version(), before != "99.0") == ("99.0", True)
    deployed.run_blocks("deployment.md", "The way back")
    deployed.create_task("On the tables of the new release")
    assert deployed.version() == before


def test_documented_pooler_serves_requests(deployed):
    [install, configure] = blocks_below("operations.md", "A pooler", "sh")
    [configuration] = blocks_below("operations.md", "A pooler", "ini")
    [settings] = blocks_below("deployment.md", "Behind a pooler", "sql")
    deployed.machine.run(f"runuser -u postgres -- psql -v ON_ERROR_STOP=1 << 'END'\n{settings}\nEND")
    deployed.run_block(install)
    (deployed.machine.root / "etc/pgbouncer/pgbouncer.ini").write_text(configuration)
    deployed.run_block(configure)
    deployed.create_task("Through the pooler")
    assert "Through the pooler" in deployed.titles()
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'todo' AND client_addr IS NULL"
    assert deployed.machine.run(f'runuser -u postgres -- psql -Atc "{sessions}"') == "0\n"


def test_proxy_of_compose_yaml_is_valid(deployed):
    proxy = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["proxy"]
    [_, _, script] = proxy["command"]
    prepare = f"""
    mkdir -p /etc/todo/tls /srv/conf.d
    cp /srv/todo/deploy/nginx.conf /etc/todo/
    cp /etc/ssl/certs/{HOST}.pem /etc/todo/tls/certificate.pem
    cp /etc/ssl/private/{HOST}.pem /etc/todo/tls/key.pem
    echo 'events {{}} http {{ include /srv/conf.d/*.conf; }}' > /srv/nginx.conf
    """
    for old, new in {
        "$$": "$",
        "/etc/nginx/conf.d": "/srv/conf.d",
        "exec nginx -g 'daemon off;'": "nginx -t -c /srv/nginx.conf -g 'pid /srv/nginx.pid;'",
    }.items():
        script = script.replace(old, new)
    deployed.machine.run(prepare + script)
    rendered = (deployed.machine.root / "srv/conf.d/todo.conf").read_text()
    assert ("server service:8000 max_conns" in rendered, "    listen 443 ssl;" in rendered) == (True, True)
