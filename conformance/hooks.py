"""Puts live credentials, ids of what is there and bodies that are taken into a part of what is
generated. The rest stays as it is: refusals have to be as the document says as well."""

import atexit
import collections
import json
import os
import random
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import schemathesis

from bodies import BODIES
from gateway import CALLED, QUERIES
from seeds import Seeds

# What an id at this place in a path is the id of.
IN_PATHS = {
    "/access-keys/{id}": "access_key",
    "/accounts/{id}": "account",
    "/api-keys/auth/{key}": "key_string",
    "/api-keys/{id}": "api_key",
    "/integrated-account/{id}": "connected_account",
    "/integration/{slug}": "connector",
    "/invitations/{id}": "invitation",
    "/link-token/{id}": "link",
    "/notifications/{id}": "notification",
    "/projects/{id}": "project",
    "/users/{id}": "user",
    "/webhooks/{id}": "webhook",
}

# Operations of somebody who is signed in; those that end or change what they came with, or leave an
# account, are asked by somebody who signed up for that.
IN_PERSON = {"endSessions", "listSessions", "showMe", "updateUser"}
BY_SOMEBODY_NEW = {"logOut", "changePassword", "acceptInvitation"}

# What some operations find nothing without.
NEEDED = {
    "authenticateApiKeyByQuery": "key",
    "endSessions": "id",
    "listApiKeyTotals": "projectId",
    "listProjectTotals": "projectId",
}

# Operations that end what they are asked about, or take somebody's role.
ENDING = {
    "deleteAccount",
    "deleteConnectedAccount",
    "deleteConnector",
    "deleteLink",
    "deleteProject",
    "deleteUserRole",
    "deleteWebhook",
    "updateUserRole",
}

# By which a request is read at all: one that is broken there is refused before any operation, with 400 and
# no body.
FRAMING = {"connection", "content-length", "transfer-encoding", "upgrade"}

dice = random.Random(os.environ.get("CLAVIGER_SEED"))
seeds = Seeds(os.environ["CLAVIGER_DATA_DIR"], dice)
answers = collections.defaultdict(collections.Counter)
lock = threading.Lock()


@atexit.register
def report():
    with open(os.environ["CLAVIGER_ANSWERS"], "w", encoding="utf-8") as file:
        json.dump(answers, file, indent=1, sort_keys=True)


@schemathesis.hook
def before_call(context, case, kwargs):
    with lock:
        operation = case.operation.definition.raw["operationId"]
        fill_path(operation, case)
        fill_query(operation, case)
        fill_body(operation, case)
        present(operation, case)


@schemathesis.hook
def after_call(context, case, response):
    with lock:
        operation = case.operation.definition.raw["operationId"]
        answers[operation][response.status_code] += 1
        if response.status_code == 401:
            # Ended by what was asked.
            if case.headers.get("x-api-key") == seeds.owner:
                seeds.renew()
            if case.headers.get("authorization") == f"Bearer {seeds.person.token}":
                seeds.log_in()


def present(operation, case):
    """Sets who asks: mostly somebody who may, from where nobody has guessed."""
    headers = case.headers = case.headers or {}
    for name in [it for it in headers if it.lower() in FRAMING]:
        del headers[name]
    headers["x-forwarded-for"] = seeds.network()
    if dice.random() < 0.1:
        headers["accept"] = "application/problem+json"
    if "idempotency-key" in {name.lower() for name in headers} and dice.random() < 0.3:
        headers["idempotency-key"] = dice.choice(["first", "second"])
    chance = dice.random()
    if chance < 0.08:
        # As it was generated: nobody, or a credential that is none.
        return
    for name in [it for it in headers if it.lower() in ("authorization", "x-api-key")]:
        del headers[name]
    if operation == "speakMcpByBearer":
        headers["authorization"] = f"Bearer {seeds.mcp_token}"
    elif operation in BY_SOMEBODY_NEW and chance < 0.8:
        headers["authorization"] = f"Bearer {seeds.sign_up().token}"
    elif operation in IN_PERSON and chance < 0.8 or chance < 0.2:
        headers["authorization"] = f"Bearer {seeds.signed_in()}"
    elif chance < 0.3 or operation == "createRevealGrant" and chance < 0.8:
        headers["x-api-key"] = seeds.operator
        # It is taken from this machine only.
        del headers["x-forwarded-for"]
    elif chance < 0.35:
        headers["x-api-key"] = seeds.viewer
    elif chance < 0.4:
        headers["x-api-key"] = seeds.verifier
    else:
        headers["x-api-key"] = seeds.owner


def id_of(kind, operation, method):
    """The id of a new one, mostly, where something is done to it."""
    lasting = {"account": seeds.account, "project": seeds.project, "webhook": seeds.webhook}
    if kind in lasting and operation not in ENDING and dice.random() < 0.5:
        return lasting[kind]
    if kind == "user" and operation not in ENDING:
        return seeds.person.id
    if method != "GET" and dice.random() < 0.7:
        return seeds.fresh(kind)
    return seeds.earlier(kind)


def fill_path(operation, case):
    parameters = case.path_parameters
    if not parameters:
        return
    for place, kind in IN_PATHS.items():
        if case.path == place or case.path.startswith(place + "/"):
            name = place.rsplit("{", 1)[1].rstrip("}")
            if name in parameters and dice.random() < 0.85:
                parameters[name] = id_of(kind, operation, case.method)
            # Generated ones are also of what was answered before.
            if operation in ENDING and parameters.get(name) in seeds.spared():
                parameters[name] = seeds.fresh(kind)
            break
    if operation == "callDelete":
        # Never what other seeds hang on.
        parameters["id"] = seeds.fresh("project")
    if dice.random() < 0.8:
        if "grantId" in parameters:
            parameters["grantId"] = seeds.fresh("reveal_grant")
            parameters["id"] = seeds.readable.current
        if "deliveryId" in parameters:
            parameters.update(id=seeds.webhook, deliveryId=seeds.delivery)
        if operation == "createRevealGrant":
            parameters["id"] = seeds.readable.next()
        if "server" in parameters:
            server = seeds.earlier if case.method == "GET" else seeds.fresh
            parameters.update(id=seeds.tools, server=server("mcp_server"))
        if operation == "deleteOAuthClient":
            parameters["slug"] = seeds.with_oauth_client()
        if "token" in parameters:
            parameters["token"] = seeds.mcp_token
        if operation in CALLED:
            resource, named = CALLED[operation]
            parameters["resource"] = resource
            if named:
                parameters["id"] = named(seeds)


def fill_query(operation, case):
    known = {parameter["name"] for parameter in case.operation.definition.raw.get("parameters", [])
             if parameter.get("in") == "query"}
    if not known:
        return
    query = dict(case.query or {})
    # Each filter by itself: all at once, as they are generated, find nothing.
    for name in [it for it in query if it in known and dice.random() < 0.4]:
        del query[name]
    ids = {
        "accountId": lambda: seeds.account,
        "projectId": lambda: seeds.project,
        "keyId": lambda: seeds.key["id"],
        "customAccountId": lambda: "acme",
        "key": lambda: seeds.fresh("key_string"),
        "id": lambda: seeds.fresh("session"),
        "actor": lambda: seeds.person.id,
        "target": lambda: seeds.key["id"],
        "cursor": lambda: seeds.done("GET", "/audit-events?limit=1")[0]["cursor"],
    }
    if "integrated_account_id" in known:
        # Arguments are parameters of their own, whatever they are called: few tools have those.
        for name in [it for it in query if it not in known and dice.random() < 0.9]:
            del query[name]
        is_raw = operation.startswith("callUpstream")
        ids["integrated_account_id"] = lambda: seeds.raw if is_raw else seeds.tools
        query.setdefault("integrated_account_id", "")
    if "account_id" in known:
        ids["account_id"] = lambda: seeds.account
    for name, value in {"next_cursor": "", **QUERIES.get(operation, {})}.items():
        ids[name] = lambda value=value: value
    for name in known & ids.keys():
        if name in query and dice.random() < 0.8:
            query[name] = ids[name]()
    if operation in NEEDED and NEEDED[operation] not in query and dice.random() < 0.8:
        query[NEEDED[operation]] = ids[NEEDED[operation]]()
    if operation == "deleteUserRole" and dice.random() < 0.8:
        user = (case.path_parameters or {}).get("id")
        query = {"accountId": seeds.accounts.get(user, seeds.account)}
    case.query = query


def fill_body(operation, case):
    if operation not in BODIES:
        return
    body = case.body if isinstance(case.body, dict) else {}
    chance = dice.random()
    if chance < 0.75 and (isinstance(case.body, dict) or chance < 0.3):
        sound = BODIES[operation](seeds, case.path_parameters or {})
        share = 1 if chance < 0.3 and isinstance(case.body, dict) else 0.3
        taken = {name: value for name, value in body.items() if dice.random() < share}
        case.body = {**sound, **taken}
    case.body = inward(case.body)


def inward(value):
    """The same without names of hosts that could be somewhere: nothing leaves this machine."""
    if isinstance(value, dict):
        return {name: inward(it) for name, it in value.items()}
    if isinstance(value, list):
        return [inward(it) for it in value]
    if isinstance(value, str) and value.lower().startswith(("http:", "https:")):
        try:
            host = urllib.parse.urlsplit(value).hostname or ""
        except ValueError:
            host = ""
        if host not in ("127.0.0.1", "localhost"):
            moved = value.replace(host, "receiver.invalid", 1) if host else value
            return moved if "receiver.invalid" in moved else "https://receiver.invalid/"
    return value
