"""What the gateway's operations are asked about, and a body that each of them takes."""

# What calls are made of: a tool of each kind of call, with what names its object.
CALLED = {
    "callList": ("api_keys", None),
    "callCreate": ("projects", None),
    "callGet": ("projects", lambda seeds: seeds.project),
    "callUpdate": ("projects", lambda seeds: seeds.project),
    "callDelete": ("projects", lambda seeds: seeds.fresh("project")),
    "callCustom": ("api_keys", lambda seeds: "list_2"),
}

# What a parameter may be that is seldom made up so.
QUERIES = {
    "listCalls": {"log_type": "proxy", "status": "200"},
    "listTools": {"methods": "read", "tags": "projects"},
    "showClientConfig": {"client": "vscode"},
    "showConnectedAccountCapabilities": {"methods": "read", "tags": "projects"},
    "showConnectorCapabilities": {"methods": "read", "tags": "parts"},
}

BODIES = {
    "callCreate": lambda seeds, _: {"name": "Made", "accountId": seeds.account},
    "callCustom": lambda seeds, _: {"key": seeds.fresh("key_string")},
    "callUpdate": lambda seeds, _: {"name": "Changed"},
    "changeCredentials": lambda seeds, _: {"credentials": {}},
    "createConnectedAccount": lambda seeds, _: {"integration": seeds.parts, "tenant_id": "customer"},
    # Of 30 names, so that an account does not have as many as it may have.
    "createConnector": lambda seeds, _: seeds.connector(f"made-{seeds.number() % 30}"),
    "createLink": lambda seeds, _: {"tenant_id": "customer", "integration": seeds.parts},
    "createMcpServer": lambda seeds, _: {"name": "Agent", "config": {"methods": ["read"]}},
    "refreshCredentials": lambda seeds, _: {"id": seeds.earlier("connected_account")},
    "setLinkSettings": lambda seeds, _: {"origins": ["https://app.example.com"]},
    "setOAuthClient": lambda seeds, _: {"client_id": "parts"},
    "speakMcp": lambda seeds, _: {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
    "speakMcpByBearer": lambda seeds, _: {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
    "updateConnectedAccount": lambda seeds, _: {"tenant_id": "another"},
    "updateConnector": lambda seeds, _: {"label": "Changed"},
    "updateMcpServer": lambda seeds, _: {"name": "Changed", "config": {"tags": ["projects"]}},
}


class Gateway:
    """The gateway's objects of an instance."""

    def open_gateway(self, bootstrap):
        # The built-in connector, connected to the account.
        self.tools = bootstrap["integratedAccountId"]
        # The receiver as an API that asks for no credential: it answers 200 below this path.
        self.parts = "parts"
        file = {**self.connector(self.parts), "base_url": f"{self.receiver}/200"}
        del file["credentials"]
        self.done("POST", "/integration", file)
        self.raw = self.new_connected_account()
        self.mcp_token = self.mcp_server()["token"]

    def number(self):
        self.count += 1
        return self.count

    def connector(self, slug):
        """A connector whose users consent; nobody reaches its API."""
        get = {"summary": "List parts", "tags": ["parts"]}
        return {
            "slug": slug,
            "label": "Parts",
            "tool_prefix": "parts",
            "base_url": "https://receiver.invalid",
            "openapi": {"openapi": "3.1.0", "info": {}, "paths": {"/parts": {"get": get}}},
            "credentials": {
                "oauth2": {
                    "authorization_url": "https://receiver.invalid/authorize",
                    "token_url": "https://receiver.invalid/token",
                }
            },
        }

    def mcp_server(self):
        return self.done("POST", f"/integrated-account/{self.tools}/mcp", {"name": "Agent"})

    def new_connected_account(self):
        body = {"integration": self.parts, "tenant_id": "customer"}
        return self.done("POST", "/integrated-account", body)["id"]

    def new_connector(self):
        # An account has 100 at most.
        for slug in list(self.made["connector"])[:1]:
            if len(self.made["connector"]) == self.made["connector"].maxlen:
                self.ask("DELETE", f"/integration/{slug}")
        return self.done("POST", "/integration", self.connector(f"parts-{self.number()}"))["slug"]

    def with_oauth_client(self):
        """A connector with an OAuth client of the account's own."""
        slug = self.fresh("connector")
        self.done("PUT", f"/integration/{slug}/oauth-client", {"client_id": "parts"})
        return slug

    def new_mcp_server(self):
        return self.mcp_server()["id"]

    def new_link(self):
        return self.done("POST", "/link-token", {"tenant_id": "customer"})["id"]
