"""The tools that the tests use."""

#: Tells of a full key what presenting it would bring.
CHECK = "list_all_the_auth_api_api_keys_auths"
CREATE = "create_a_the_auth_api_api_key"
LIST = "list_all_the_auth_api_api_keys"
LOOK_UP = "the_auth_api_api_keys_list_2"
READ = "get_single_the_auth_api_api_key_by_id"
REVOKE = "delete_a_the_auth_api_api_key_by_id"
ROTATE = "create_a_the_auth_api_api_key_rotate"
