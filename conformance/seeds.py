"""Makes through the API what operations are asked about: each kind of object, fresh or made before."""

import collections
import datetime
import email
import email.policy
import http.server
import json
import os
import pathlib
import re
import threading
import time

import requests

import firebase
from gateway import Gateway

PASSWORD = "correct horse battery staple"

# How many of each kind are kept to be named again, whatever has become of them.
KEPT = 20

# How many things are made in one account or project: an account has 100 invitations a day at most,
# and 100 webhooks.
IN_ONE = 40

# How often somebody signs in; 60 times in five minutes are too many.
OFTEN = 40


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers webhooks, pings and calls of tools with the status that the path names."""

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status = re.search(r"\d{3}", self.path)
        self.send_response(int(status[0]) if status else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def __getattr__(self, name):
        # Whatever the method is.
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def do_GET(self):
        """Is Firebase's set of keys, as well."""
        body = json.dumps(firebase.keys()).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("cache-control", "max-age=3600")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def receiver():
    # The program was started with it: it fetches Firebase's keys from there.
    port = int(os.environ["CLAVIGER_RECEIVER_PORT"])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def in_days(days):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Places:
    """Accounts or projects that things are made in, another one after some."""

    def __init__(self, make):
        self.make = make
        self.uses = 0
        self.current = None

    def next(self):
        if self.uses % IN_ONE == 0:
            self.current = self.make()
        self.uses += 1
        return self.current


class Person:
    """Somebody who signed up, and is signed in."""

    def __init__(self, address, answer):
        self.address = address
        self.times = 0
        self.sign_in(answer)

    def sign_in(self, answer):
        self.times += 1
        self.id = answer["user"]["id"]
        self.token = answer["access_token"]
        self.refresh_token = answer["refresh_token"]
        self.since = time.monotonic()


class Seeds(Gateway):
    """The objects of one instance, made when they are asked for."""

    def __init__(self, folder, random):
        self.folder = pathlib.Path(folder)
        self.random = random
        bootstrap = json.loads((self.folder / "bootstrap.json").read_text())
        self.url = bootstrap["url"]
        self.operator = bootstrap["operatorKey"]
        self.verifier = bootstrap["verifierKey"]
        self.account = bootstrap["accountId"]
        self.project = bootstrap["projectId"]
        self.first = bootstrap["accessKey"]
        self.session = requests.Session()
        self.people = Places(self.new_account)
        self.receivers = Places(self.new_account)
        self.readable = Places(self.new_readable)
        self.receiver = receiver()
        self.count = 0
        self.made = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))
        # Of each invitation that was made to be named, the token; of each such user, the account.
        self.tokens = {}
        self.accounts = {}
        self.renew()
        self.viewer = self.done("POST", "/access-keys", {"name": "Looks", "role": "viewer"})["key"]
        self.person = self.sign_up("owner", self.account)
        self.webhook = self.done("POST", "/webhooks", self.webhook_body("200", self.account))["id"]
        # Its receiver answers that it is gone, which makes a notification.
        self.done("POST", "/webhooks", self.webhook_body("410", self.account))
        self.key = self.done("POST", "/api-keys", {"name": "Told of", "projectId": self.project})
        self.delivery = self.until(lambda: self.listed(f"/webhooks/{self.webhook}/deliveries"))
        self.notification = self.until(lambda: self.listed("/notifications"))
        self.open_gateway(bootstrap)

    # Asking

    def ask(self, method, path, body=None, key=None, token=None):
        headers = {"authorization": f"Bearer {token}"} if token else {"x-api-key": key or self.owner}
        if key != self.operator:
            headers["x-forwarded-for"] = self.network()
        return self.session.request(method, self.url + path, json=body, headers=headers, timeout=60)

    def done(self, method, path, body=None, key=None, token=None):
        response = self.ask(method, path, body, key, token)
        if not response.ok:
            raise RuntimeError(f"{method} {path} of the seeds: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def network(self):
        """An address that nobody has presented wrong keys from."""
        return ".".join(["10", *(str(self.random.randrange(1, 255)) for _ in range(3))])

    def listed(self, path):
        rows = self.done("GET", path)
        return rows[0]["id"] if rows else None

    def until(self, find):
        for _ in range(200):
            found = find()
            if found:
                return found
            time.sleep(0.05)
        raise RuntimeError("what a seed was to cause did not happen")

    def spared(self):
        """What must not be ended, since other seeds hang on it."""
        places = {self.people.current, self.receivers.current, self.readable.current}
        gateway = {self.tools, self.raw, self.parts}
        return {self.account, self.project, self.person.id, self.webhook} | places | gateway

    # Credentials

    def renew(self):
        """A new access key to call with, where the last one was ended by an operation."""
        body = {"name": "Calls", "role": "owner", "accountId": self.account}
        self.owner = self.done("POST", "/access-keys", body, self.operator)["key"]

    def signed_in(self):
        """The token of the owner in person, which is taken for 15 minutes."""
        if time.monotonic() - self.person.since > 600:
            self.log_in()
        return self.person.token

    def log_in(self):
        """Signs the owner in person in again; one who did so often is told to come later, so another one."""
        if self.person.times == OFTEN:
            self.person = self.sign_up("owner", self.account)
            return
        body = {"email": self.person.address, "password": PASSWORD}
        self.person.sign_in(self.done("POST", "/auth/login", body))

    def address(self):
        self.count += 1
        return f"person-{self.count}@example.com"

    def invite(self, role="developer", account=None):
        body = {"email": self.address(), "role": role, "accountId": account or self.people.next()}
        return self.done("POST", "/invitations", body, self.operator)

    def sign_up(self, role="developer", account=None):
        invitation = self.invite(role, account)
        body = {
            "email": invitation["email"],
            "password": PASSWORD,
            "name": "Ada",
            "invitationId": invitation["link"].rsplit("=", 1)[1],
        }
        return Person(invitation["email"], self.done("POST", "/auth/signup", body))

    def mailed(self, address, pattern):
        """What a mail to that address says; without a server for it, mails are files."""

        def mails():
            # Those that begin with a dot are being written.
            return (self.folder / "outbox").glob("[!.]*.eml")

        def find():
            for file in mails():
                mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
                if mail["to"] == address:
                    found = re.search(pattern, mail.get_body(("plain",)).get_content())
                    if found:
                        return found[1]

        found = self.until(find)
        # So that looking does not take longer and longer.
        for file in mails():
            file.unlink(missing_ok=True)
        return found

    def code(self):
        """A mailed code to sign in, and whose it is."""
        person = self.sign_up()
        self.done("POST", "/auth/email-otc", {"email": person.address})
        return person.address, self.mailed(person.address, r"\b(\d{8})\b")

    def reset_token(self):
        person = self.sign_up()
        self.done("POST", "/auth/password-reset", {"email": person.address})
        return self.mailed(person.address, r"token=(\S+)")

    def id_token(self):
        """One of Firebase for somebody who is new, or for one who is known."""
        address = self.address() if self.random.random() < 0.5 else self.person.address
        return firebase.id_token(address, address)

    # Objects

    def webhook_body(self, status="200", account=None):
        topics = ["api-key.created", "api-key.updated", "webhook.disabled"]
        account = account or self.receivers.next()
        return {"url": f"{self.receiver}/{status}", "topics": topics, "accountId": account}

    def fresh(self, kind):
        """The id of a new one."""
        made = getattr(self, f"new_{kind}")()
        self.made[kind].append(made)
        return made

    def earlier(self, kind):
        """The id of one of before: changed, ended or gone by now, perhaps."""
        return self.random.choice(self.made[kind]) if self.made[kind] else self.fresh(kind)

    def new_account(self):
        return self.done("POST", "/accounts", {"name": "Child"})["id"]

    def new_project(self):
        body = {"name": "Project", "accountId": self.account}
        return self.done("POST", "/projects", body)["id"]

    def new_readable(self):
        """A project whose keys can be read back."""
        project = self.new_project()
        self.done("PATCH", f"/projects/{project}", {"keyStorage": "recoverable"}, self.operator)
        return project

    def new_api_key(self):
        return self.api_key()["id"]

    def api_key(self, **members):
        body = {"name": "Key", "projectId": self.project, **members}
        return self.done("POST", "/api-keys", body)

    def new_key_string(self):
        return self.api_key(rateLimitConfigs={"rateLimit": 2, "rateLimitTtl": 60})["key"]

    def new_access_key(self):
        body = {"name": "Access", "role": "developer", "accountId": self.account}
        return self.done("POST", "/access-keys", body)["id"]

    def new_webhook(self):
        return self.done("POST", "/webhooks", self.webhook_body())["id"]

    def new_invitation(self):
        invitation = self.invite()
        self.tokens[invitation["id"]] = invitation["link"].rsplit("=", 1)[1]
        return invitation["id"]

    def new_user(self):
        user = self.sign_up().id
        self.accounts[user] = self.people.current
        return user

    def new_session(self):
        self.log_in()
        sessions = self.done("GET", "/auth/sessions", token=self.person.token)
        return next((it["id"] for it in sessions if not it["isCurrent"]), sessions[0]["id"])

    def new_notification(self):
        return self.notification

    def new_reveal_grant(self):
        body = {"accessKeyId": self.fresh("access_key"), "expiresAt": in_days(3)}
        path = f"/projects/{self.readable.next()}/reveal-grants"
        return self.done("POST", path, body, self.operator)["id"]

    def new_delivery(self):
        return self.delivery
