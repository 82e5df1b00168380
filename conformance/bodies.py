"""A body of each operation that it takes, for members of generated ones to be put into."""

import gateway
from seeds import PASSWORD, in_days


def import_rows(seeds):
    seeds.count += 1
    return [{"name": "Moved", "key": f"custom-key-of-{seeds.count}"}, {"name": "Made here"}]


def token(seeds, path):
    return {"token": seeds.tokens.get(path.get("id"))}


def role(seeds, path):
    return {"role": "viewer", "accountId": seeds.accounts.get(path.get("id"), seeds.account)}


def code(seeds, _):
    address, digits = seeds.code()
    return {"email": address, "code": digits}


def tenant(seeds, _):
    seeds.count += 1
    return {
        "externalId": f"tenant-{seeds.count}",
        "account": {"name": "Customer"},
        "projects": [{"name": "Theirs"}],
        "apiKey": {"name": "First"},
        "accessKey": {"name": "Their program", "role": "developer"},
        "invite": {"email": seeds.address(), "role": "admin"},
    }


BODIES = {
    **gateway.BODIES,
    "acceptInvitation": token,
    "addUserFromFirebase": lambda seeds, _: {"idToken": seeds.id_token()},
    "authenticate": lambda seeds, _: {"credentials": {"api_key": seeds.fresh("key_string")}},
    "changePassword": lambda seeds, _: {"currentPassword": PASSWORD, "newPassword": PASSWORD + "!"},
    "createAccessKey": lambda seeds, _: {"name": "Made", "role": "viewer", "accountId": seeds.account},
    "createAccount": lambda seeds, _: {"name": "Child"},
    "createAccountUser": lambda seeds, _: {"email": seeds.address(), "role": "viewer"},
    "createApiKey": lambda seeds, _: {
        "name": "Made",
        "projectId": seeds.project,
        "customMetaData": {"plan": "gold"},
        "rateLimitConfigs": {"rateLimit": 10, "rateLimitTtl": 60},
        "quota": {"limit": 1000, "period": "month"},
        "expiry": in_days(30),
        "scopes": ["read"],
    },
    "createInvitation": lambda seeds, _: {
        "email": seeds.address(),
        "role": "developer",
        "accountId": seeds.people.next(),
    },
    "createProject": lambda seeds, _: {"name": "Made", "accountId": seeds.account, "env": "test"},
    "createRevealGrant": lambda seeds, _: {
        "accessKeyId": seeds.fresh("access_key"),
        "expiresAt": in_days(3),
    },
    "createTenant": tenant,
    "createWebhook": lambda seeds, _: seeds.webhook_body(),
    "emailOneTimeCode": lambda seeds, _: {"email": seeds.person.address},
    "explainApiKey": lambda seeds, _: {"origin": "https://app.example.com", "ip": "192.0.2.7"},
    "importApiKeys": lambda seeds, _: {"projectId": seeds.project, "keys": import_rows(seeds)},
    "logIn": lambda seeds, _: {"email": seeds.sign_up().address, "password": PASSWORD},
    "pingWebhook": lambda seeds, _: {"url": f"{seeds.receiver}/200", "accountId": seeds.account},
    "reactivateAccessKey": lambda seeds, _: {},
    "refreshAccessToken": lambda seeds, _: {"refresh_token": seeds.sign_up().refresh_token},
    "replayWebhookDeliveries": lambda seeds, _: {"from": in_days(-1), "delivered": True},
    "resetPassword": lambda seeds, _: {"token": seeds.reset_token(), "newPassword": PASSWORD},
    "rotateAccessKey": lambda seeds, _: {"gracePeriod": 60},
    "rotateApiKey": lambda seeds, _: {"gracePeriod": 60},
    "rotateWebhookSecret": lambda seeds, _: {"revokePrevious": True},
    "signUp": lambda seeds, _: {"email": seeds.address(), "password": PASSWORD, "name": "Ada"},
    "updateAccessKey": lambda seeds, _: {"name": "Changed", "rateLimit": 10, "rateLimitTtl": 60},
    "updateAccount": lambda seeds, _: {"name": "Changed"},
    "updateApiKey": lambda seeds, _: {"name": "Changed", "expiry": in_days(60)},
    "updateInvitation": lambda seeds, _: {"role": "viewer"},
    "updateNotification": lambda seeds, _: {"isRead": seeds.random.random() < 0.5},
    "updateProject": lambda seeds, _: {"name": "Changed"},
    "updateUser": lambda seeds, _: {"name": "Changed"},
    "updateUserRole": role,
    "updateWebhook": lambda seeds, _: {"name": "Changed", "url": f"{seeds.receiver}/500"},
    "validateLoginCode": code,
    "verifyApiKey": lambda seeds, _: {"key": seeds.fresh("key_string"), "cost": 1},
    "verifyApiKeys": lambda seeds, _: {
        "keys": [{"key": seeds.fresh("key_string")}, {"key": seeds.earlier("key_string")}]
    },
}
